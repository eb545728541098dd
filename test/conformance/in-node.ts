import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { Envoy } from '../filter/envoy.ts';
import { bytes, unpair } from '../support/header-pairs.ts';
import { peerProperties } from '../support/peer.ts';
import { Exchange } from '../support/wasm-exchange.ts';
import type { Header } from './case.ts';
import { type Arrived, answerHeaders, authorityOf, type Host, hasBody, type Seen, type Trial, wireHeaders } from './host.ts';
import { namesRule } from './judge.ts';
import { seenByClient } from './local-reply.ts';

/** The built filter in Node's host, in one VM and in virtual time. */

/** Requests held at the same time; the filter's own limit is 1,000. */
const BATCH = 500;
/** No rule holds longer: `start_delay_ms` and the delay are an hour each. */
const LONGEST_MS = 7_200_000;
const CLUSTER = 'xds\0cluster_name';
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
  /** What is told of the present case's caller. */
  #told: readonly string[] = [];

  run(trial: Trial): Seen[] {
    const envoy = this.#envoy;
    // Each case is an apply of its own, with counts of its own.
    envoy.process.advance(1);
    const ruleset = trial.ruleset(Math.round(envoy.now));
    const version = rulesetVersion(ruleset);
    if (version !== this.#inForce) this.#inForce = envoy.serveBytes(ruleset);
    this.#tell(trial);

    const seen: Seen[] = [];
    while (seen.length < trial.repeat) {
      const exchanges = Array.from({ length: Math.min(BATCH, trial.repeat - seen.length) }, () => this.#begin(trial));
      const held = waitForAll(envoy, exchanges);
      for (const exchange of exchanges) {
        seen.push(outcome(exchange, held.get(exchange) ?? 0, trial));
        envoy.vm.end(exchange.stream);
      }
      // The lease must not end while virtual time passes.
      if (held.size > 0) envoy.unchanged();
    }
    return seen;
  }

  #tell({ request: { source, peer = {} }, direction }: Trial): void {
    const { properties } = this.#envoy.process;
    for (const name of this.#told) properties.delete(name);
    // The sandbox's Envoys call their clusters so.
    const told = new Map([...peerProperties(peer), [CLUSTER, direction], ...(source === undefined ? [] : [[SOURCE, source] as const])]);
    for (const [name, value] of told) properties.set(name, bytes(value));
    this.#told = [...told.keys()];
  }

  #begin({ request, direction, upstream }: Trial): Exchange {
    const body = request.body === '' ? undefined : bytes(request.body);
    const stream = this.#envoy.vm.request(this.#roots[direction], headersOf(request), body === undefined);
    const { status, body: answer } = upstream;
    return new Exchange(stream, body, {
      headers: [[':status', String(status)], ...answerHeaders(upstream).map(([name, value]): Header => [name.toLowerCase(), value])],
      body: hasBody(request.method, status) && answer !== '' ? bytes(answer) : undefined,
    });
  }
}

/** The headers as the filter gets them. */
function headersOf(request: Trial['request']): Header[] {
  return [
    [':method', request.method],
    [':path', request.path],
    [':authority', authorityOf(request)],
    [':scheme', 'http'],
    // Envoy adds these before any filter.
    ['x-forwarded-proto', 'http'],
    ['x-request-id', '6f6ab3a2-8f7b-4c2b-9d0e-3f1f0c9a7b55'],
    ...wireHeaders(request),
  ];
}

/** Moves the clock from timer to timer until no exchange is held any more. @returns how long each was, to the ms */
function waitForAll(envoy: Envoy, exchanges: readonly Exchange[]): Map<Exchange, number> {
  const held = new Map<Exchange, number>();
  let waiting = exchanges.filter(({ over }) => !over);
  const begun = envoy.process.nowNs;
  const passed = (): number => Number(envoy.process.nowNs - begun) / 1e6;
  while (waiting.length > 0 && passed() <= LONGEST_MS) {
    const next = [...envoy.vm.timers.values()].reduce((least, { at }) => (at < least ? at : least), envoy.process.nowNs + 1_000_000_000n);
    envoy.process.advance(Math.max(Number(next - envoy.process.nowNs) / 1e6, 0));
    for (const exchange of waiting) {
      exchange.advance();
      if (exchange.over) held.set(exchange, passed());
    }
    waiting = waiting.filter(({ over }) => !over);
  }
  return held;
}

function outcome(exchange: Exchange, delayMs: number, { request, upstream }: Trial): Seen {
  const { stream, held, over } = exchange;
  const [reply] = stream.replies;
  if (stream.replies.length > 1) throw new Error('the filter answered one request twice');
  if (!over) throw new Error(`the filter held the request for more than ${LONGEST_MS} ms`);
  const arrived = arrivedOf(exchange);
  if (stream.reset) return { fault: 'reset', status: 0, body: '', headers: [], arrived, delayMs };
  if (reply !== undefined) return { fault: held ? 'delay+abort' : 'abort', ...seenByClient(reply, request), arrived, delayMs };
  const headers = stream.responseHeaders.filter(([name]) => name !== ':status');
  const status = Number(stream.responseHeaders.find(([name]) => name === ':status')?.[1]);
  const body = Buffer.from(exchange.responseBody).toString();
  const answered = { status, body: hasBody(request.method, status) ? body : '', headers, delayMs };
  const sent = hasBody(request.method, upstream.status) ? upstream.body : '';
  const changed = status !== upstream.status || answered.body !== sent || namesRule(headers);
  const changedRequest =
    JSON.stringify(unpair(stream.headers)) !== JSON.stringify(headersOf(request).map(([name, value]) => [name, value]));
  const fault = changed ? 'response' : held ? 'delay' : changedRequest || arrived?.body !== request.body ? 'request' : 'none';
  return { fault, ...answered, arrived };
}

function arrivedOf({ stream, reached, requestBody }: Exchange): Arrived | undefined {
  if (!reached) return undefined;
  const headers = unpair(stream.headers);
  const of = (name: string): string => headers.find(([one]) => one === name)?.[1] ?? '';
  return { method: of(':method'), path: of(':path'), headers, body: Buffer.from(requestBody).toString() };
}
