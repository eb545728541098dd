import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
/** Too large to copy, or made anew. */
const LEFT_OUT = new Set(['node_modules', '.hfi', '.git', 'dist']);

/** A copy of the project to change something in, with the packages of this one. @returns its folder */
export function ownCopy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hfi-copy-'));
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}
