import { setTimeout as sleep } from 'node:timers/promises';
import type { WriteStream } from 'node:tty';
import { makeClient, type Target, watchEvents } from './client.ts';
import { Failure } from './failure.ts';
import { LiveScreen } from './live-screen.ts';
import { asLines, lookAround, lookAtPolicies, policyTable } from './overview.ts';
import type { Format } from './print.ts';

/** What no event tells, such as counts and the proxies of other replicas, is looked up so often. */
const LOOK_MS = 1000;
/** Many events at once make one new screen. */
const SETTLE_MS = 50;
const MOST_SHOWN = 8;
const AGAIN_MS = 1000;

interface Told {
  readonly time: string;
  readonly type: string;
  readonly message?: string;
  readonly connected?: number;
  readonly current?: number;
}

/** The screen of `hfi status`, live until Ctrl-C. */
export async function watchScreen(target: Target, terminal: WriteStream): Promise<void> {
  const client = makeClient(target);
  // What is wrong with the address or the token is told before anything is drawn.
  await lookAround(client, target.url);
  const screen = new LiveScreen(terminal);
  const told: string[] = [];
  let wake = (): void => undefined;
  let stopped = false;
  let trouble = '';
  const stop = (): void => {
    stopped = true;
    wake();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  void (async () => {
    while (!stopped) {
      try {
        for await (const { data } of watchEvents(target)) {
          if (stopped) return;
          if (data !== '') note(told, JSON.parse(data) as Told);
          trouble = '';
          wake();
        }
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error);
        wake();
      }
      await sleep(AGAIN_MS);
    }
  })();
  try {
    while (!stopped) {
      screen.draw(await lines(target, told, trouble));
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        wake = (): void => {
          clearTimeout(timer);
          setTimeout(resolve, stopped ? 0 : SETTLE_MS);
        };
      });
    }
  } finally {
    screen.leave();
  }
  process.exit(0);
}

async function lines(target: Target, told: readonly string[], trouble: string): Promise<string[]> {
  try {
    const client = makeClient(target);
    const [overview, policies] = await Promise.all([lookAround(client, target.url), lookAtPolicies(client)]);
    const lost = overview.incomplete.length === 0 ? [] : [`could not ask replica ${overview.incomplete.join(', ')}`];
    const events = told.length === 0 ? [] : ['', ...told];
    return [
      ...asLines(overview),
      ...policyTable(policies),
      ...events,
      '',
      ...lost,
      ...(trouble === '' ? [] : [trouble]),
      'Ctrl-C ends this.',
    ];
  } catch (error) {
    // The last screen would look as if all were well.
    return [error instanceof Error ? error.message : String(error), '', ...told, '', 'Trying again; Ctrl-C ends this.'];
  }
}

function note(told: string[], { time, message }: Told): void {
  if (message === undefined) return;
  told.push(`${time.slice(11, 19)}  ${message}`);
  if (told.length > MOST_SHOWN) told.shift();
}

/** Writes each event in a line, until Ctrl-C or until the control plane is gone. */
export async function showEvents(target: Target, format: Format, write: (text: string) => void): Promise<void> {
  if (format === 'yaml') throw new Failure('--watch writes json, or lines of text; not yaml.', 2);
  for await (const { data } of watchEvents(target)) {
    if (data === '' || data === '{}') continue;
    if (format === 'json') write(`${data}\n`);
    else write(`${inWords(JSON.parse(data) as Told)}\n`);
  }
}

function inWords({ time, message, connected, current }: Told): string {
  return `${time}  ${message ?? `${connected} proxies connected to this replica, ${current} run what they should`}`;
}
