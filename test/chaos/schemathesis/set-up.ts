import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const WANTED = join(import.meta.dirname, 'requirements.txt');
const FOLDER = join(import.meta.dirname, '..', '..', '..', '.hfi', 'schemathesis');

/**
 * The program `schemathesis` in the version of requirements.txt, in a Python environment of its own below `.hfi/`, made if it isn't there.
 *
 * @throws what pip said when that is not possible
 */
export function schemathesis(): string {
  const program = join(FOLDER, 'bin', 'schemathesis');
  const mark = join(FOLDER, '.hfi-installed');
  const wanted = readFileSync(WANTED, 'utf8');
  if (existsSync(program) && existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return program;
  rmSync(FOLDER, { recursive: true, force: true });
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', FOLDER],
    [join(FOLDER, 'bin', 'pip'), 'install', '--quiet', '--disable-pip-version-check', '-r', WANTED],
  ] as const) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  }
  writeFileSync(mark, wanted);
  return program;
}
