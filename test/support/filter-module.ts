import { readFileSync } from 'node:fs';
import { FILTER_PATH } from '../../build/filter.ts';

/** Reads the built filter. */
export function filterModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(FILTER_PATH));
}
