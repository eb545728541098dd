import { join } from 'node:path';
import { buildFilter } from '../../build/filter.ts';

/** The modules that the benchmarks run, compiled from the present sources, never taken from an older build. */
export interface Modules {
  readonly hfi: string;
  readonly empty: string;
  readonly reading: string;
  readonly everyCallback: string;
  readonly everyCallbackReading: string;
}

/** @param folder where to put them */
export async function buildModules(folder: string): Promise<Modules> {
  const built = async (entry: string, name: string): Promise<string> => (await buildFilter(entry, join(folder, `${name}.wasm`))).path;
  return {
    hfi: await built('filter/assembly/index.ts', 'hfi'),
    empty: await built('test/bench/floor-filters/empty.ts', 'empty'),
    reading: await built('test/bench/floor-filters/reading.ts', 'reading'),
    everyCallback: await built('test/bench/floor-filters/every-callback.ts', 'every-callback'),
    everyCallbackReading: await built('test/bench/floor-filters/every-callback-reading.ts', 'every-callback-reading'),
  };
}
