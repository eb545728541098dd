import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The filter's module, as the proxies fetch it. */
export interface FilterModule {
  readonly module: WebAssembly.Module;
  /** Of the file's bytes, hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads the module when it is asked for first, and keeps it.
 *
 * @param path undefined when there is none
 * @returns what gives the module, or undefined when there is none
 */
export function filterModuleAt(path: string | undefined): () => FilterModule | undefined {
  let kept: FilterModule | undefined;
  return () => {
    if (kept === undefined && path !== undefined) {
      const file = readFileSync(path);
      kept = { module: new WebAssembly.Module(file), sha256: createHash('sha256').update(file).digest('hex') };
    }
    return kept;
  };
}
