import type { Envoy } from '../filter/envoy.ts';
import { bytes, unpair } from '../support/header-pairs.ts';
import { Exchange } from '../support/wasm-exchange.ts';
import type { Stream } from '../support/wasm-host.ts';
import type { Header } from './case.ts';
import { type Arrived, answerHeaders, authorityOf, hasBody, type Seen, type Trial, wireHeaders } from './host.ts';
import { kindsOf, ruleNamed } from './kinds.ts';
import { seenByClient } from './local-reply.ts';

/** The filter's counters of what it did to a request that goes on. */
const COUNTERS = ['delays', 'request_changes', 'response_changes'] as const;

/** One request of a case through the filter in Node. What was done to it is what the filter counted while it was handling it. */
export class NodeRequest {
  readonly #envoy: Envoy;
  readonly #trial: Trial;
  readonly #counted: Record<(typeof COUNTERS)[number], number> = { delays: 0, request_changes: 0, response_changes: 0 };
  readonly #exchange: Exchange;

  constructor(envoy: Envoy, root: number, trial: Trial) {
    this.#envoy = envoy;
    this.#trial = trial;
    const { request, upstream } = trial;
    const body = request.body === '' ? undefined : bytes(request.body);
    this.#exchange = this.#counting(
      () =>
        new Exchange(envoy.vm.request(root, headersOf(request), body === undefined), body, {
          headers: [
            [':status', String(upstream.status)],
            ...answerHeaders(upstream).map(([name, value]): Header => [name.toLowerCase(), value]),
          ],
          body: hasBody(request.method, upstream.status) && upstream.body !== '' ? bytes(upstream.body) : undefined,
        }),
    );
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
    const method = unpair(stream.headers).find(([name]) => name === ':method')?.[1] ?? '';
    if ((method === 'HEAD') !== (this.#trial.request.method === 'HEAD'))
      throw new Error(`the service is asked by ${method}, whose answer has another form`);
    const [reply] = stream.replies;
    const kinds = kindsOf({
      reset: stream.reset,
      aborted: reply !== undefined,
      delayed: this.#counted.delays > 0,
      responseChanged: this.#counted.response_changes > 0,
      requestChanged: this.#counted.request_changes > 0,
    });
    const service = this.#exchange.asked ? this.#arrived() : undefined;
    if (reply !== undefined) {
      return { kinds, rule: ruleNamed(reply.headers), ...seenByClient(reply, this.#trial.request), delayMs, service };
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
    const body = hasBody(this.#trial.request.method, status) ? Buffer.from(responseBody).toString() : '';
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

  /** What isn't counted must not be done. */
  #refuseChanges({ status, body }: Seen): void {
    const { request, upstream } = this.#trial;
    const sent = hasBody(request.method, upstream.status) ? upstream.body : '';
    if (status !== upstream.status || body !== sent) throw new Error('the answer was changed, and no fault counted');
    const arrived = Buffer.from(this.#exchange.requestBody).toString();
    if (arrived !== request.body || !hasHeaders(this.#exchange.stream, headersOf(request))) {
      throw new Error('the request was changed, and no fault counted');
    }
  }

  #counting<Result>(run: () => Result): Result {
    const before = COUNTERS.map((name) => this.#envoy.metric(`faults_${name}_total`));
    const result = run();
    COUNTERS.forEach((name, i) => {
      this.#counted[name] += this.#envoy.metric(`faults_${name}_total`) - (before[i] ?? 0);
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

function hasHeaders(stream: Stream, headers: readonly Header[]): boolean {
  return JSON.stringify(unpair(stream.headers)) === JSON.stringify(headers);
}
