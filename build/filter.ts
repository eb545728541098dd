import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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

/** What a module was made from, beside it. */
interface MadeFrom {
  /** SHA-256 of everything that the module depends on. */
  readonly sources: string;
  readonly sha256: string;
}

/**
 * Compiles the filter when something that it is made from changed. The same sources give the same bytes.
 *
 * @param entry the module to compile, from the project's root
 * @throws Error with the compiler's messages when it doesn't compile
 */
export async function buildFilter(entry = 'filter/assembly/index.ts', path = FILTER_PATH): Promise<BuiltFilter> {
  const sources = await sourcesOf(entry);
  const known = await keptModule(path, sources);
  const module = known ?? (await compile(entry));
  const sha256 = hash(module);
  if (known === undefined) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, module);
    await writeFile(`${path}.json`, JSON.stringify({ sources, sha256 } satisfies MadeFrom));
  }
  return { path, sha256, bytes: module.length };
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The hash of every source that could be in the module, of the flags, and of the versions of the compiler and its packages. */
async function sourcesOf(entry: string): Promise<string> {
  const files = globSync(['filter/assembly/**/*.ts', `${dirname(entry)}/*.ts`, 'package-lock.json'], { cwd: ROOT });
  const all = createHash('sha256').update(JSON.stringify(flags(entry)));
  for (const file of [...new Set(files)].sort()) all.update(`${file}\0`).update(await readFile(join(ROOT, file)));
  return all.digest('hex');
}

/** The module that is there, when it is the one that would be made. */
async function keptModule(path: string, sources: string): Promise<Uint8Array | undefined> {
  try {
    const made = JSON.parse(await readFile(`${path}.json`, 'utf8')) as MadeFrom;
    const module = await readFile(path);
    return made.sources === sources && made.sha256 === hash(module) ? module : undefined;
  } catch {
    return undefined;
  }
}

function flags(entry: string): string[] {
  const abort = `abort=${entry.replace(/\.ts$/, '')}/abort`;
  return [entry, '-O2', '--runtime', 'stub', '--exportStart', '_initialize', '--use', abort, '--outFile', 'plugin.wasm'];
}

async function compile(entry: string): Promise<Uint8Array> {
  // Takes a second to load, which a build that has nothing to do saves.
  const { default: asc } = await import('assemblyscript/asc');
  const said: string[] = [];
  const out = { write: (text: string | Uint8Array) => said.push(text.toString()) > 0 };
  let module: Uint8Array | undefined;
  const { error } = await asc.main([...flags(entry), '--baseDir', ROOT], {
    stdout: out,
    stderr: out,
    readFile: (name: string, base: string) => readFile(join(base, name), 'utf8').catch(() => null),
    writeFile: (_name: string, contents: string | Uint8Array) => {
      module = Buffer.from(contents);
    },
    listFiles: () => [],
  });
  if (error || module === undefined) throw new Error(`the filter does not compile:\n${said.join('')}`);
  return module;
}
