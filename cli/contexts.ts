import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InCluster } from './cluster/control-plane.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** A control plane and the token to speak to it. */
export interface Context {
  readonly url: string;
  readonly token: string;
  /** When it is reached through the Kubernetes API: where it is. */
  readonly cluster?: InCluster | undefined;
}

export interface Contexts {
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** Where the contexts lie: `$HFI_CONFIG`, else `~/.config/hfi/config.json`. */
export function contextsFile(): string {
  return process.env.HFI_CONFIG || join(homedir(), '.config', 'hfi', 'config.json');
}

/** @throws Failure when the file can be read by others, or isn't what `writeContexts` writes */
export function readContexts(): Contexts {
  const text = readSecret(contextsFile());
  if (text === undefined) return { contexts: {} };
  try {
    const value: unknown = JSON.parse(text);
    if (areContexts(value)) return value;
  } catch {
    // Told below.
  }
  throw new Failure(`${contextsFile()} holds no contexts of hfi; mend it or remove it.`, EXIT.usage);
}

/** People edit the file, too. */
function areContexts(value: unknown): value is Contexts {
  const { current, contexts } = (value ?? {}) as { current?: unknown; contexts?: unknown };
  if (typeof contexts !== 'object' || contexts === null || !['string', 'undefined'].includes(typeof current)) return false;
  return Object.values(contexts).every((one: Partial<Context> | null) => typeof one?.url === 'string' && typeof one.token === 'string');
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
