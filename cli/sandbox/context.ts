import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

interface Contexts {
  current?: string | undefined;
  contexts: Record<string, { url: string; token: string }>;
}

const NAME = 'sandbox';

/** Makes `sandbox` the CLI's current context, so that `npx hfi …` just works; says which one was current. */
export function addContext(url: string, token: string): string | undefined {
  const config = read();
  const previous = config.current === NAME ? undefined : config.current;
  write({ ...config, current: NAME, contexts: { ...config.contexts, [NAME]: { url, token } } });
  return previous;
}

/** Takes the context away, unless another sandbox has put its own there since, and makes the previous one current again. */
export function removeContext(token: string, previous: string | undefined): void {
  const config = read();
  if (config.contexts[NAME]?.token !== token) return;
  const { [NAME]: _gone, ...contexts } = config.contexts;
  const back = previous !== undefined && previous in contexts ? previous : undefined;
  write({ ...config, current: config.current === NAME ? back : config.current, contexts });
}

function file(): string {
  return process.env.HFI_CONFIG ?? path.join(homedir(), '.config', 'hfi', 'config.json');
}

function read(): Contexts {
  try {
    return { contexts: {}, ...(JSON.parse(readFileSync(file(), 'utf8')) as Partial<Contexts>) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} };
    throw error;
  }
}

function write(config: Contexts): void {
  mkdirSync(path.dirname(file()), { recursive: true, mode: 0o700 });
  const next = `${file()}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file());
}
