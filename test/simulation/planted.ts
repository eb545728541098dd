import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { applyPatch, parsePatch } from 'diff';

/**
 * Bugs that are planted into a copy of the product to see that the simulation finds them. Each is a patch of a few lines in `planted/`,
 * with a sentence in front that says what is wrong then.
 */
export interface Planted {
  readonly name: string;
  readonly wrong: string;
  /** The changed files' contents, by their paths from the project's root. */
  readonly files: ReadonlyMap<string, string>;
}

export interface Search {
  /** The first seed that violates something; undefined when none did. */
  readonly seed: number | undefined;
  readonly said: string;
}

/** In so many seeds each is found. */
export const SEEDS_TO_FIND = 100;

const ROOT = join(import.meta.dirname, '..', '..');
const FOLDER = join(import.meta.dirname, 'planted');
/** What the simulation needs of the project. */
const COPIED = [
  'package.json',
  'services',
  'filter',
  'build',
  'dist/filter',
  'test/simulation',
  'test/support',
  'test/fuzz/dice.ts',
  'package-lock.json',
];

/** @throws Error when a patch doesn't apply any more */
export function readPlanted(): Planted[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => read(basename(file, '.patch'), readFileSync(join(FOLDER, file), 'utf8')));
}

function read(name: string, text: string): Planted {
  const begin = text.indexOf('\n--- ') + 1;
  const files = new Map<string, string>();
  for (const patch of parsePatch(text.slice(begin))) {
    const path = patch.newFileName ?? '';
    const patched = applyPatch(readFileSync(join(ROOT, path), 'utf8'), patch);
    if (patched === false) throw new Error(`test/simulation/planted/${name}.patch does not apply to ${path} any more: make it anew`);
    files.set(path, patched);
  }
  if (files.size === 0) throw new Error(`test/simulation/planted/${name}.patch changes nothing`);
  return { name, wrong: text.slice(0, begin).trim(), files };
}

/** Runs seeds on a copy of the project with the bug, until one violates something. */
export async function search({ files }: Planted, seeds: number): Promise<Search> {
  const copy = mkdtempSync(join(tmpdir(), 'hfi-planted-'));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    for (const [path, contents] of files) writeFileSync(join(copy, path), contents);
    if ([...files.keys()].some((path) => path.startsWith('filter/'))) {
      const built = await run(copy, ['--input-type=module', '-e', "(await import('./build/filter.ts')).buildFilter()"]);
      if (built.code !== 0) throw new Error(`the filter with the bug does not build:\n${built.output}`);
    }
    const { code, output } = await run(copy, ['test/simulation/main.ts', '--seed', '1', '--seeds', String(seeds), '--stop']);
    const found = /^seed (\d+): (.*)$/m.exec(output);
    if (code !== (found === null ? 0 : 1)) throw new Error(`the simulation ended with ${code}:\n${output}`);
    return { seed: found === null ? undefined : Number(found[1]), said: found?.[2] ?? '' };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function run(cwd: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.on('close', (code) => resolve({ code, output }));
  });
}
