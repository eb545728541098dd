import { readContexts, writeContexts } from '../contexts.ts';

const NAME = 'sandbox';

/** Makes `sandbox` the CLI's current context, so that `npx hfi …` just works; says which one was current. */
export function addContext(url: string, token: string): string | undefined {
  const config = readContexts();
  const previous = config.current === NAME ? undefined : config.current;
  writeContexts({ ...config, current: NAME, contexts: { ...config.contexts, [NAME]: { url, token } } });
  return previous;
}

/** Takes the context away, unless another sandbox has put its own there since, and makes the previous one current again. */
export function removeContext(token: string, previous: string | undefined): void {
  const config = readContexts();
  if (config.contexts[NAME]?.token !== token) return;
  const { [NAME]: _gone, ...contexts } = config.contexts;
  const back = previous !== undefined && previous in contexts ? previous : undefined;
  writeContexts({ ...config, current: config.current === NAME ? back : config.current, contexts });
}
