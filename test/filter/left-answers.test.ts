import assert from 'node:assert/strict';
import { bytes } from '../../filter/host/header-pairs.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Exchange } from '../support/wasm-exchange.ts';
import { Envoy, made } from './envoy.ts';

type Fault = PolicyInput['spec']['rules'][number]['fault'];

/** Everything that can be done to an answer. */
const ALL: Fault = {
  delay: { fixed_delay_ms: 50, at: 'response' },
  response: {
    status: 418,
    headers: { set: { 'x-a': '1' } },
    body: 'another one',
    throttle: '1B/s',
    latency: '1s',
    trailers: { 'grpc-status': '14' },
  },
};
const COUNTERS = ['delays_total', 'response_changes_total', 'aborts_total', 'resets_total'];

function answered(envoy: Envoy, status: string): Exchange {
  return new Exchange(envoy.request(), undefined, {
    headers: [
      [':status', status],
      ['content-length', '5'],
    ],
    body: bytes('hello'),
    trailers: [['grpc-status', '0']],
  });
}

function assertUntouched(envoy: Envoy, { stream, over, responseBody }: Exchange, status: string): void {
  assert.deepEqual([over, stream.reset, stream.replies], [true, false, []]);
  assert.deepEqual(stream.responseHeaders, [
    [':status', status],
    ['content-length', '5'],
  ]);
  assert.equal(Buffer.from(responseBody).toString(), 'hello');
  assert.deepEqual(stream.responseTrailers, [['grpc-status', '0']]);
  for (const name of COUNTERS) assert.equal(envoy.metric(`faults_${name}`), 0, name);
}

describe('filter: answers that are left alone', () => {
  for (const [what, ifStatus, fault] of [
    ['a change and a delay', 404, ALL],
    ['a change and a delay, of a range', { from: 300, to: 599 }, ALL],
    ['an abort', 404, { abort: { httpStatus: 503, at: 'response' } }],
    ['a reset', 404, { abort: { reset: true, at: 'response' } }],
    ['a cut', 404, { response: { truncate: { bytes: 1 } } }],
  ] as [string, Fault['ifStatus'], Fault][]) {
    it(`${what}: for their status, whole and uncounted, with nothing in the access log`, () => {
      const envoy = new Envoy();
      envoy.serve([made('p', { rules: [{ fault: { ...fault, ifStatus } }] })]);
      const exchange = answered(envoy, '200');
      assertUntouched(envoy, exchange, '200');
      assert.equal(exchange.stream.notes.get('hfi_fault') ?? '', '');
    });
  }

  it('but those with the status are not', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { response: { status: 500 }, ifStatus: { from: 200, to: 299 } } }] })]);
    const statusOf = (status: string): string | undefined =>
      answered(envoy, status).stream.responseHeaders.find(([name]) => name === ':status')?.[1];
    assert.deepEqual(['199', '200', '204', '299', '300'].map(statusOf), ['199', '500', '500', '500', '300']);
    assert.equal(envoy.metric('faults_response_changes_total'), 3);
  });

  it('and what was done to the request stays counted and in the access log', () => {
    for (const early of [{ request: { headers: { set: { 'x-a': '1' } } } }, { delay: { fixed_delay_ms: 5 } }]) {
      const envoy = new Envoy();
      envoy.serve([made('p', { rules: [{ fault: { ...early, response: { status: 500 }, ifStatus: 404 } }] })]);
      const exchange = answered(envoy, '200');
      envoy.process.advance(10);
      exchange.advance();
      assert.deepEqual([exchange.over, exchange.stream.notes.get('hfi_fault')], [true, 'p/0']);
      assert.equal(envoy.metric('faults_response_changes_total'), 0);
    }
  });

  it('when no more can be held: the whole answer, not its head alone', () => {
    const envoy = new Envoy(1, { maxDelayedRequests: 0 });
    envoy.serve([made('p', { rules: [{ fault: ALL }] })]);
    assertUntouched(envoy, answered(envoy, '200'), '200');
    assert.equal(envoy.metric('faults_delays_overflow_total'), 1);
  });
});
