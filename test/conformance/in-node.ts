import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { Envoy } from '../filter/envoy.ts';
import { bytes } from '../support/header-pairs.ts';
import type { Stream } from '../support/wasm-host.ts';
import { answerHeaders, authorityOf, type Host, hasBody, type Seen, type Trial, wireHeaders } from './host.ts';
import { seenByClient } from './local-reply.ts';

/** The built filter in Node's host, in one VM and in virtual time. */

const HOLD = 4;
/** Requests held at the same time; the filter's own limit is 1,000. */
const BATCH = 500;
/** No rule holds longer: `start_delay_ms` and the delay are an hour each. */
const LONGEST_MS = 7_200_000;
const SOURCE = 'connection\0uri_san_peer_certificate';

/** Makes a host; the filter must have been built. */
export function inNode(): Host {
  let lab = new Lab();
  return {
    lateMs: 0,
    async run(trial) {
      try {
        return lab.run(trial);
      } catch (error) {
        // A VM that trapped must not fail the cases that follow.
        lab = new Lab();
        throw error;
      }
    },
    async end() {},
  };
}

class Lab {
  readonly #envoy = new Envoy();
  readonly #roots = {
    inbound: this.#envoy.root,
    outbound: this.#envoy.vm.configure({ cluster: 'hfi-control-plane', direction: 'outbound' }),
  };
  #inForce = '';

  run(trial: Trial): Seen[] {
    const envoy = this.#envoy;
    const ruleset = trial.ruleset(Math.round(envoy.now));
    const version = rulesetVersion(ruleset);
    if (version !== this.#inForce) this.#inForce = envoy.serveBytes(ruleset);
    const { source } = trial.request;
    if (source === undefined) envoy.process.properties.delete(SOURCE);
    else envoy.process.properties.set(SOURCE, bytes(source));

    const seen: Seen[] = [];
    while (seen.length < trial.repeat) {
      const streams = Array.from({ length: Math.min(BATCH, trial.repeat - seen.length) }, () => this.#begin(trial));
      const held = waitForAll(envoy, streams);
      for (const stream of streams) {
        seen.push(outcome(stream, held.get(stream) ?? 0, trial));
        envoy.vm.end(stream);
      }
      // The lease must not end while virtual time passes.
      if (held.size > 0) envoy.unchanged();
    }
    return seen;
  }

  #begin({ request, direction }: Trial): Stream {
    return this.#envoy.vm.request(this.#roots[direction], [
      [':method', request.method],
      [':path', request.path],
      [':authority', authorityOf(request)],
      [':scheme', 'http'],
      // Envoy adds these before any filter.
      ['x-forwarded-proto', 'http'],
      ['x-request-id', '6f6ab3a2-8f7b-4c2b-9d0e-3f1f0c9a7b55'],
      ...wireHeaders(request),
    ]);
  }
}

const isWaiting = (stream: Stream): boolean => stream.action === HOLD && stream.continued === 0 && stream.replies.length === 0;

/** Moves the clock from timer to timer until no request is held any more. @returns how long each was, to the ms */
function waitForAll(envoy: Envoy, streams: readonly Stream[]): Map<Stream, number> {
  const held = new Map<Stream, number>();
  let waiting = streams.filter(isWaiting);
  const begun = envoy.process.nowNs;
  const passed = (): number => Number(envoy.process.nowNs - begun) / 1e6;
  while (waiting.length > 0 && passed() <= LONGEST_MS) {
    const next = [...envoy.vm.timers.values()].reduce((least, { at }) => (at < least ? at : least), envoy.process.nowNs + 1_000_000_000n);
    envoy.process.advance(Math.max(Number(next - envoy.process.nowNs) / 1e6, 0));
    for (const stream of waiting) if (!isWaiting(stream)) held.set(stream, passed());
    waiting = waiting.filter(isWaiting);
  }
  return held;
}

function outcome(stream: Stream, delayMs: number, { request, upstream }: Trial): Seen {
  const [reply] = stream.replies;
  if (stream.replies.length > 1) throw new Error('the filter answered one request twice');
  if (isWaiting(stream)) throw new Error(`the filter held the request for more than ${LONGEST_MS} ms`);
  if (reply !== undefined) return { fault: stream.action === HOLD ? 'delay+abort' : 'abort', ...seenByClient(reply, request), delayMs };
  const body = hasBody(request.method, upstream.status) ? upstream.body : '';
  return { fault: stream.action === HOLD ? 'delay' : 'none', status: upstream.status, body, headers: answerHeaders(upstream), delayMs };
}
