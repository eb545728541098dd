import assert from 'node:assert/strict';
import type { Stream } from '../../filter/host/abi.ts';
import { bytes, textOf, unpair } from '../../filter/host/header-pairs.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, HEADERS, made } from './envoy.ts';

type Fault = PolicyInput['spec']['rules'][number]['fault'];
type Way = 'request' | 'response';

const GO = 0;
const HOLD = 2;
const DROP = 3;
const TEXT = 'The quick brown fox jumps over the lazy dog';

/** An exchange whose bodies the test hands over piece by piece. */
class Passing {
  readonly envoy = new Envoy();
  readonly stream: Stream;
  readonly way: Way;

  constructor(way: Way, change: object, headers: readonly (readonly [string, string])[] = []) {
    this.way = way;
    this.envoy.serve([made('p', { rules: [{ fault: { [way]: change } as Fault }] })]);
    const { vm, root } = this.envoy;
    this.stream = vm.request(root, [...HEADERS, ...(way === 'request' ? headers : [])], way !== 'request');
    if (way === 'response') vm.response(this.stream, [[':status', '200'], ...headers], false);
  }

  /** @returns what the host is to do; what is left of the piece is `stream.piece` */
  piece(text: string, last = false): number {
    const { vm } = this.envoy;
    return this.way === 'request' ? vm.requestBody(this.stream, bytes(text), last) : vm.responseBody(this.stream, bytes(text), last);
  }

  get continued(): number {
    return this.way === 'request' ? this.stream.continued : this.stream.continuedResponse;
  }
}

/** What comes through of a body that is cut into pieces of these sizes, as bytes. */
function through(way: Way, change: object, sizes: readonly number[]): Buffer {
  const passing = new Passing(way, change);
  const out: Uint8Array[] = [];
  let from = 0;
  for (const [i, size] of sizes.entries()) {
    passing.piece(TEXT.slice(from, from + size), i === sizes.length - 1);
    out.push(passing.stream.piece);
    from += size;
  }
  return Buffer.concat(out);
}

const CUTS = [[43], [43, 0], [0, 43], [1, 42], [20, 0, 23], [10, 10, 10, 13], Array.from({ length: 43 }, () => 1)];

describe('filter: bodies in pieces', () => {
  for (const way of ['request', 'response'] as const) {
    it(`a ${way}'s body is replaced once, however it is cut`, () => {
      for (const sizes of CUTS) assert.equal(through(way, { body: 'new' }, sizes).toString(), 'new', String(sizes));
    });

    it(`a ${way}'s body is cut short at the same place, however it is cut`, () => {
      for (const sizes of CUTS) {
        const change = { truncate: { bytes: 15, ...(way === 'response' && { end: 'clean' }) } };
        assert.equal(through(way, change, sizes).toString(), TEXT.slice(0, 15), String(sizes));
      }
    });

    it(`the seed and the place in the body alone say what is corrupted in a ${way}`, () => {
      const change = { corrupt: { percentage: 30, seed: 7 } };
      const whole = through(way, change, [43]);
      assert.notEqual(whole.toString(), TEXT);
      for (const sizes of CUTS) assert.deepEqual(through(way, change, sizes), whole, String(sizes));
      assert.notDeepEqual(through(way, { corrupt: { percentage: 30, seed: 8 } }, [43]), whole);
    });

    it(`of each corrupted byte of a ${way} one bit is another`, () => {
      const out = through(way, { corrupt: { percentage: 100 } }, [20, 23]);
      assert.equal(out.length, TEXT.length);
      out.forEach((byte, i) => {
        const turned = byte ^ TEXT.charCodeAt(i);
        assert.ok(turned !== 0 && (turned & (turned - 1)) === 0, `byte ${i}: ${turned.toString(2)}`);
      });
    });

    it(`each piece of a ${way} waits until its last byte would have come`, () => {
      const passing = new Passing(way, { throttle: '1000B/s' });
      assert.equal(passing.piece('x'.repeat(50)), HOLD);
      passing.envoy.process.advance(49.9);
      assert.equal(passing.continued, 0);
      passing.envoy.process.advance(1.1);
      assert.equal(passing.continued, 1);
      // The line is free again: the next one pays for itself alone.
      passing.envoy.process.advance(500);
      assert.equal(passing.piece('x'.repeat(20), true), HOLD);
      passing.envoy.process.advance(19.9);
      assert.equal(passing.continued, 1);
      passing.envoy.process.advance(1.1);
      assert.equal(passing.continued, 2);
    });

    it(`pieces of a ${way} that come while one is held wait with it, at the rate of the whole`, () => {
      const passing = new Passing(way, { throttle: '1000B/s', latency: '10ms' });
      for (const last of [false, false, true]) assert.equal(passing.piece('x'.repeat(20), last), HOLD);
      passing.envoy.process.advance(89.9);
      assert.equal(passing.continued, 0);
      passing.envoy.process.advance(1.1);
      assert.equal(passing.continued, 1);
    });
  }

  it('a response that is reset behind its first bytes breaks off there, and what comes then is thrown away', () => {
    const passing = new Passing('response', { truncate: { bytes: 15 } }, [['content-length', '43']]);
    assert.equal(passing.piece(TEXT.slice(0, 10)), GO);
    assert.equal(textOf(passing.stream.piece), TEXT.slice(0, 10));
    assert.equal(passing.piece(TEXT.slice(10, 30)), GO);
    assert.equal(textOf(passing.stream.piece), TEXT.slice(10, 15));
    assert.equal(passing.stream.reset, false, 'what goes through must have left');
    passing.envoy.process.advance(10);
    assert.equal(passing.stream.reset, true);
    assert.deepEqual(
      passing.stream.responseHeaders.filter(([name]) => name === 'content-length'),
      [['content-length', '43']],
    );
  });

  it('a response of one frame, end included, breaks off in front of its body', () => {
    const passing = new Passing('response', { truncate: { bytes: 15 } });
    assert.equal(passing.piece(TEXT, true), DROP);
    assert.equal(passing.stream.reset, true);
  });

  it('trailers are set in those that there are, and none are made', () => {
    const { envoy, stream } = new Passing('response', { trailers: { 'grpc-status': '14', 'x-t': '1' } });
    envoy.vm.trailers(stream, [
      ['grpc-status', '0'],
      ['x-other', 'stays'],
    ]);
    assert.deepEqual(stream.responseTrailers, [
      ['grpc-status', '14'],
      ['x-other', 'stays'],
      ['x-t', '1'],
    ]);
    const without = new Passing('response', { trailers: { 'x-t': '1' } });
    without.piece('whole', true);
    assert.deepEqual(without.stream.responseTrailers, []);
    assert.equal(textOf(without.stream.piece), 'whole');
  });

  it('bodies of an upgraded connection and of a tunnel are never changed, and can be throttled', () => {
    for (const [headers, status] of [
      [[['upgrade', 'websocket']], '101'],
      [[[':method', 'CONNECT']], '200'],
    ] as [[string, string][], string][]) {
      const envoy = new Envoy();
      const change = { body: 'no', throttle: '1000B/s' };
      envoy.serve([made('p', { rules: [{ fault: { request: change, response: change } }] })]);
      const names = new Set(headers.map(([name]) => name));
      const stream = envoy.vm.request(envoy.root, [...HEADERS.filter(([name]) => !names.has(name)), ...headers], false);
      envoy.vm.response(stream, [[':status', status]], false);
      assert.equal(envoy.vm.requestBody(stream, bytes('up'), false), HOLD);
      assert.equal(textOf(stream.piece), 'up');
      assert.equal(envoy.vm.responseBody(stream, bytes('down'), false), HOLD);
      assert.equal(textOf(stream.piece), 'down');
    }
  });
});

describe('filter: methods of changed requests', () => {
  it('a changed request keeps the method of HEAD and CONNECT, whose callers wait for another answer', () => {
    for (const [method, wanted] of [
      ['HEAD', 'HEAD'],
      ['CONNECT', 'CONNECT'],
      ['GET', 'PUT'],
    ] as const) {
      const envoy = new Envoy();
      envoy.serve([made('p', { rules: [{ fault: { request: { headers: { set: { ':method': 'PUT', 'x-a': '1' } } } } }] })]);
      const { headers } = envoy.request([[':method', method]]);
      const got = Object.fromEntries(unpair(headers));
      assert.deepEqual([got[':method'], got['x-a']], [wanted, '1']);
    }
  });
});
