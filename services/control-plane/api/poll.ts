import { LAYOUT_VERSION } from '../../../filter/assembly/layout.ts';
import { HEADER_REPLICA, HEADER_REVISION, HEADER_TIME } from '../../../filter/assembly/protocol.ts';
import type { Caller } from '../access/caller.ts';
import { notOwn, refusalOf } from '../access/own-proxy.ts';
import { seesNamespace } from '../access/scope.ts';
import type { Hello, Leaving } from '../fleet/proxy.ts';
import { pause } from '../runtime.ts';
import type { Asking } from './asking.ts';
import { readHello, wholeNumber } from './hello.ts';
import { identified } from './identify.ts';
import type { Parts } from './parts.ts';
import { Problem } from './problem.ts';
import { preferredWaitMs } from './query.ts';

/** A ruleset, whose bytes go to every proxy with the same policies, so nobody writes to them; or that there is nothing new. */
export type PollReply = { readonly headers: Record<string, string> } & (
  | { readonly status: 200; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly status: 304; readonly body: null }
);

/**
 * Answers a proxy's long poll: with the ruleset that it should run, once that differs from what it has.
 *
 * @throws Problem; StoreUnavailable and ReviewUnavailable when who knows its token doesn't answer
 */
export async function answerPoll(parts: Parts, asking: Asking, caller: Caller): Promise<PollReply> {
  const hello = readHello(asking);
  refuseForeign(caller, parts, hello);
  const halted = (): boolean => mustHalt(parts, hello.namespace);
  await mustNotGoBack(parts, wholeNumber(asking.header(HEADER_REVISION)), asking.leaving, halted);
  const answer = await parts.fleet.poll(hello, preferredWaitMs(asking.header('prefer')), asking.leaving);
  // The token may have ended while the poll was held.
  await identified(asking, parts.tokens, 'served');
  switch (answer.kind) {
    case 'ruleset':
      return {
        status: 200,
        headers: { ...replyHeaders(parts, answer.ruleset.version), 'content-type': 'application/octet-stream' },
        body: answer.ruleset.bytes as Uint8Array<ArrayBuffer>,
      };
    case 'nothing-new':
      return { status: 304, headers: replyHeaders(parts, answer.version), body: null };
    case 'layout':
      throw new Problem('layout-mismatch', `This control plane writes ruleset layout ${LAYOUT_VERSION}.`);
    case 'lapse':
      throw new Problem('conflict', 'This proxy refused to be halted; it is not answered, so that its lease ends.');
    case 'stale':
      throw new Problem('store-unavailable', 'This replica has no current copy of the policies.', { retryAfter: 1 });
  }
}

function replyHeaders({ copy, start, runtime }: Parts, version: string): Record<string, string> {
  return {
    etag: `"${version}"`,
    [HEADER_REVISION]: String(copy.lastChange),
    [HEADER_REPLICA]: start,
    [HEADER_TIME]: String(runtime.clock.now()),
    'cache-control': 'no-store',
  };
}

/** @throws Problem `forbidden` when the token is for other proxies */
export function refuseForeign(caller: Caller, { fleet }: Parts, hello: Hello): void {
  const known = fleet.namespaceOf(hello.name);
  const taken = caller.namespaces !== undefined && known !== undefined && known !== '' && !seesNamespace(caller, known);
  const reason = notOwn(caller, hello) ?? (taken ? 'one whose name a proxy of another namespace has' : undefined);
  if (reason !== undefined) throw new Problem('forbidden', refusalOf(caller, reason));
}

/** Another replica told the proxy of a change: its watch was faster by milliseconds, or this one's hangs. */
const CATCH_UP_MS = 2000;
const LOOK_AGAIN_MS = 2;

/**
 * Waits until this replica has seen what the proxy has been told of elsewhere, so that nothing that was deleted comes back. After etcd was
 * restored from a backup its revisions begin lower: then there is nothing more to see.
 *
 * @param halted ends the wait: what is halted does no harm
 * @throws Problem `store-unavailable` when there is more to see than this replica sees in time; StoreUnavailable when nobody can tell
 */
async function mustNotGoBack(parts: Parts, revision: number, leaving: Leaving, halted: () => boolean): Promise<void> {
  await caughtUp(parts, revision, leaving, () => !halted());
  if (parts.copy.revision >= revision || halted() || leaving.aborted || (await parts.store.revision()) < revision) return;
  throw new Problem('store-unavailable', 'This replica has not seen yet what the proxy has heard of.', { retryAfter: 1 });
}

/**
 * Waits a little until this replica has seen a revision.
 *
 * @param needed asked before each look: false ends the wait
 */
export async function caughtUp(
  { copy, runtime }: Parts,
  revision: number,
  leaving: Leaving,
  needed: () => boolean = () => true,
): Promise<void> {
  const until = runtime.clock.elapsed() + CATCH_UP_MS;
  while (copy.revision < revision && runtime.clock.elapsed() < until && !leaving.aborted && needed()) await pause(runtime, LOOK_AGAIN_MS);
}

/** With a halt of which etcd may not know, or whose lifting this replica can't see, nobody waits. */
function mustHalt({ copy, halts }: Parts, namespace: string): boolean {
  return halts.isOwn(namespace) || (!copy.fresh() && halts.of(namespace) !== undefined);
}
