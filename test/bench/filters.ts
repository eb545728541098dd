import { join } from 'node:path';
import { buildFilter } from '../../build/filter.ts';

/** The modules that the benchmarks run, compiled from the present sources, never taken from an older build. */
export interface Modules {
  readonly hfi: string;
  readonly empty: string;
  readonly reading: string;
}

/** @param folder where to put them */
export async function buildModules(folder: string): Promise<Modules> {
  const hfi = await buildFilter('filter/assembly/index.ts', join(folder, 'hfi.wasm'));
  const empty = await buildFilter('test/bench/floor-filters/empty.ts', join(folder, 'empty.wasm'));
  const reading = await buildFilter('test/bench/floor-filters/reading.ts', join(folder, 'reading.wasm'));
  return { hfi: hfi.path, empty: empty.path, reading: reading.path };
}
