import { readFileSync } from 'node:fs';
import binaryen from 'binaryen';
import { FILTER_PATH } from '../../build/filter.ts';

/** The built filter, calling `env.log_execution` with a number of its own wherever a function, a loop or a way back begins. */
export function instrumented(): { module: WebAssembly.Module; places: number } {
  const module = binaryen.readBinary(readFileSync(FILTER_PATH));
  module.runPasses(['log-execution']);
  const places = module.emitText().split('call $log_execution').length - 1;
  return { module: new WebAssembly.Module(module.emitBinary()), places };
}
