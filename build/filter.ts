import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Where the built filter lies. */
export const FILTER_PATH = join(ROOT, 'dist', 'filter', 'plugin.wasm');

export interface BuiltFilter {
  readonly path: string;
  /** Of the module's bytes, hexadecimal. */
  readonly sha256: string;
  /** The module's size. */
  readonly bytes: number;
}

/**
 * Compiles the filter. The same sources give the same bytes.
 *
 * @param entry the module to compile, from the project's root
 * @throws Error with the compiler's messages when it doesn't compile
 */
export async function buildFilter(entry = 'filter/assembly/index.ts', path = FILTER_PATH): Promise<BuiltFilter> {
  const said: string[] = [];
  const out = { write: (text: string | Uint8Array) => said.push(text.toString()) > 0 };
  let module: Uint8Array | undefined;
  const { error } = await asc.main(
    [
      entry,
      '--baseDir',
      ROOT,
      '-O3',
      '--runtime',
      'stub',
      '--exportStart',
      '_initialize',
      '--use',
      `abort=${entry.replace(/\.ts$/, '')}/abort`,
      '--outFile',
      'plugin.wasm',
    ],
    {
      stdout: out,
      stderr: out,
      readFile: (name: string, base: string) => readFile(join(base, name), 'utf8').catch(() => null),
      writeFile: (_name: string, contents: string | Uint8Array) => {
        module = Buffer.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error || module === undefined) throw new Error(`the filter does not compile:\n${said.join('')}`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, module);
  return { path, sha256: createHash('sha256').update(module).digest('hex'), bytes: module.length };
}
