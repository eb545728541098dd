import { bytes, pairs, textOf, unpair } from '../../filter/host/header-pairs.ts';
import type { Envoy } from '../filter/envoy.ts';
import { Exchange, type Upstream } from '../support/wasm-exchange.ts';
import type { Header } from './case.ts';
import { type Arrived, answerHeaders, authorityOf, hasBody, type Seen, type Trial, wireHeaders } from './host.ts';
import { kindsOf, ruleNamed } from './kinds.ts';
import { seenByClient } from './local-reply.ts';

/** The filter's counters of what it did to a request that goes on. */
const COUNTERS = ['delays', 'request_changes', 'response_changes'].map((name) => `faults_${name}_total`);

/** What all repeats of a trial have in common, in the bytes that the filter gets. */
export interface Exchanged {
  readonly request: Trial['request'];
  readonly upstream: Trial['upstream'];
  readonly head: Uint8Array;
  readonly body: Uint8Array | undefined;
  readonly answer: Upstream;
}

export function exchangedIn({ request, upstream }: Trial): Exchanged {
  const headers = answerHeaders(upstream).map(([name, value]): Header => [name.toLowerCase(), value]);
  return {
    request,
    upstream,
    head: pairs(headersOf(request)),
    body: request.body === '' ? undefined : bytes(request.body),
    answer: {
      headers: [[':status', String(upstream.status)], ...headers],
      body: hasBody(request.method, upstream.status) && upstream.body !== '' ? bytes(upstream.body) : undefined,
    },
  };
}

/** One request of a case through the filter in Node. What was done to it is what the filter counted while it was handling it. */
export class NodeRequest {
  readonly #envoy: Envoy;
  readonly #exchanged: Exchanged;
  /** As `COUNTERS`. */
  readonly #counted = [0, 0, 0];
  readonly #exchange: Exchange;

  constructor(envoy: Envoy, root: number, exchanged: Exchanged) {
    this.#envoy = envoy;
    this.#exchanged = exchanged;
    const { head, body, answer } = exchanged;
    this.#exchange = this.#counting(() => new Exchange(envoy.vm.request(root, head, body === undefined), body, answer));
  }

  /** Nothing more happens to it. */
  get over(): boolean {
    return this.#exchange.over;
  }

  /** Goes on until it is held or over. */
  advance(): void {
    this.#counting(() => this.#exchange.advance());
  }

  end(): void {
    this.#envoy.vm.end(this.#exchange.stream);
  }

  /** @param delayMs how long it was held */
  outcome(delayMs: number): Seen {
    const { stream, answered } = this.#exchange;
    if (stream.replies.length > 1) throw new Error('the filter answered one request twice');
    this.#refuseOtherForm();
    const [delays = 0, requestChanges = 0, responseChanges = 0] = this.#counted;
    const [reply] = stream.replies;
    const kinds = kindsOf({
      reset: stream.reset,
      aborted: reply !== undefined,
      delayed: delays > 0,
      responseChanged: responseChanges > 0,
      requestChanged: requestChanges > 0,
    });
    const service = this.#exchange.asked ? this.#arrived() : undefined;
    if (reply !== undefined) {
      return { kinds, rule: ruleNamed(reply.headers), ...seenByClient(reply, this.#exchanged.request), delayMs, service };
    }
    const rule = stream.notes.get('hfi_fault') ?? stream.notes.get('hfi_shadow');
    if (!answered) return { kinds, rule, status: 0, body: '', headers: [], delayMs, service };
    const got = { kinds, rule, ...this.#answer(), delayMs, service };
    if (kinds[0] === 'none') this.#refuseChanges(got);
    return got;
  }

  #answer(): Pick<Seen, 'status' | 'body' | 'headers'> {
    const { stream, responseBody } = this.#exchange;
    const status = Number(stream.responseHeaders.find(([name]) => name === ':status')?.[1]);
    const body = hasBody(this.#exchanged.request.method, status) ? textOf(responseBody) : '';
    return { status, body, headers: stream.responseHeaders.filter(([name]) => name !== ':status') };
  }

  #arrived(): Arrived {
    const headers = unpair(this.#exchange.stream.headers).map(([name, value]): Header => [name === ':authority' ? 'host' : name, value]);
    const pseudo = (wanted: string): string => headers.find(([name]) => name === wanted)?.[1] ?? '';
    return {
      method: pseudo(':method'),
      path: pseudo(':path'),
      headers: headers.filter(([name]) => !name.startsWith(':')),
      body: Buffer.from(this.#exchange.requestBody).toString(),
    };
  }

  /** The answer to HEAD has another form than that to other methods, and the client waits for the one that it asked for. */
  #refuseOtherForm(): void {
    const { request, head } = this.#exchanged;
    const { headers } = this.#exchange.stream;
    const method = headers === head ? request.method : (unpair(headers).find(([name]) => name === ':method')?.[1] ?? '');
    if ((method === 'HEAD') !== (request.method === 'HEAD'))
      throw new Error(`the service is asked by ${method}, whose answer has another form`);
  }

  /** What isn't counted must not be done. */
  #refuseChanges({ status, body }: Seen): void {
    const { request, upstream, head, body: sent } = this.#exchanged;
    const answered = hasBody(request.method, upstream.status) ? upstream.body : '';
    if (status !== upstream.status || body !== answered) throw new Error('the answer was changed, and no fault counted');
    const { stream, requestBody } = this.#exchange;
    if (stream.headers !== head || (sent !== undefined && textOf(requestBody) !== request.body)) {
      throw new Error('the request was changed, and no fault counted');
    }
  }

  #counting<Result>(run: () => Result): Result {
    const before = COUNTERS.map((name) => this.#envoy.metric(name));
    const result = run();
    COUNTERS.forEach((name, i) => {
      this.#counted[i] = (this.#counted[i] ?? 0) + this.#envoy.metric(name) - (before[i] ?? 0);
    });
    return result;
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
