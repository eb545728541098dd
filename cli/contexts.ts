import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** A control plane and the token to speak to it. */
export interface Context {
  readonly url: string;
  readonly token: string;
}

export interface Contexts {
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** Where the contexts lie: `$HFI_CONFIG`, else `~/.config/hfi/config.json`. */
export function contextsFile(): string {
  return process.env.HFI_CONFIG || join(homedir(), '.config', 'hfi', 'config.json');
}

/** @throws Failure when the file can be read by others, or is no JSON */
export function readContexts(): Contexts {
  const text = readSecret(contextsFile());
  if (text === undefined) return { contexts: {} };
  try {
    const { current, contexts } = JSON.parse(text) as Partial<Contexts>;
    return { current, contexts: contexts ?? {} };
  } catch {
    throw new Failure(`${contextsFile()} is not JSON; mend it or remove it.`, EXIT.usage);
  }
}

/** Writes the contexts so that nobody else can read them, and never half of them. */
export function writeContexts(contexts: Contexts): void {
  const file = contextsFile();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file);
}

/**
 * Reads a file that holds a secret.
 *
 * @returns undefined when it isn't there
 * @throws Failure when group or others may read it
 */
export function readSecret(file: string): string | undefined {
  try {
    if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
      throw new Failure(`${file} holds a token and can be read by others; run: chmod 600 ${file}`, EXIT.usage);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
