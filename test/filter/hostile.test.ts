import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CHECKSUM_FROM, HEADER_CHECKSUM, HEADER_LENGTH } from '../../filter/assembly/layout.ts';
import { pairs } from '../../filter/host/header-pairs.ts';
import { adler32 } from '../../services/control-plane/ruleset/block.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { Envoy, HEADERS, made } from './envoy.ts';

/** Whatever comes, the VM must not trap: a trapped VM takes the traffic with it. A trap is an exception here. */

const rich = made('rich', {
  rules: [
    {
      match: { path: { exact: '/a' }, headers: [{ name: 'x-a', prefix: 'v' }] },
      fault: { abort: { httpStatus: 503, body: 'b', headers: { a: 'b' } } },
    },
    { match: { path: { prefix: '/abc' }, method: { exact: 'GET' } }, fault: { delay: { fixed_delay_ms: 5 } } },
    { match: { headers: [{ name: 'x-b', exact: 'one,two' }] }, fault: { percentage: 50, duration_seconds: 60, abort: { grpcStatus: 14 } } },
    {
      match: { headers: [{ name: 'host', prefix: 'f' }], path: { prefix: '/abd' } },
      fault: { abort: { httpStatus: 500 }, delay: { fixed_delay_ms: 1 } },
    },
    { match: { method: { prefix: 'P' } }, fault: { abort: { httpStatus: 418 } } },
  ],
});
const outbound = made('out', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] });

const policies = [rich, outbound].map((policy) => ({ policy, appliedAt: Date.UTC(2026, 0, 1) }));
const good = compileRuleset(policies, Date.UTC(2026, 0, 1));

const requests = [
  [],
  [
    [':path', '/a'],
    ['x-a', 'v1'],
  ],
  [[':path', '/abcd?x']],
  [
    ['x-b', 'one'],
    ['x-b', 'two'],
  ],
  [[':path', '/abd']],
  [[':method', 'POST']],
] as const;

/** Makes length and checksum fit again, so that only the check of the structure stands between the bytes and the VM. */
function sealed(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 32) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(HEADER_LENGTH, bytes.length, true);
  view.setUint32(HEADER_CHECKSUM, adler32(bytes.subarray(CHECKSUM_FROM)), true);
  return bytes;
}

function survives(envoy: Envoy, bytes: Uint8Array): void {
  envoy.serveBytes(bytes);
  for (const headers of requests) envoy.vm.end(envoy.request(headers));
  envoy.process.advance(10);
}

describe('filter: hostile rulesets', function () {
  this.timeout(60_000);

  it('refuses every single flipped bit, and every length that is cut', () => {
    const envoy = new Envoy();
    envoy.serve([]);
    let served = 0;
    for (let at = 0; at < good.length; at++) {
      const bytes = good.slice();
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      envoy.serveBytes(bytes);
      if (at % 7 === 0) envoy.serveBytes(good.slice(0, at));
      served++;
    }
    assert.equal(envoy.process.metric('wasmcustom.hfi_rulesets_accepted_total'), 1);
    assert.ok(envoy.process.metric('wasmcustom.hfi_rulesets_refused_total') >= served);
  });

  it('survives damage that length and checksum do not show: 20,000 drawn', () => {
    const envoy = new Envoy();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          survives(envoy, sealed(bytes));
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('survives 32-bit fields of extreme values', () => {
    const envoy = new Envoy();
    for (const value of [0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, good.length, good.length - 1]) {
      for (let at = CHECKSUM_FROM; at + 4 <= good.length; at += 4) {
        const bytes = good.slice();
        new DataView(bytes.buffer).setUint32(at, value, true);
        survives(envoy, sealed(bytes));
      }
    }
  });

  it('survives bytes that are no ruleset at all', () => {
    const envoy = new Envoy();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) =>
        survives(envoy, sealed(Uint8Array.from([...good.subarray(0, 8), ...bytes]))),
      ),
      { numRuns: 3000 },
    );
  });
});

describe('filter: hostile requests', function () {
  this.timeout(60_000);

  const served = () => {
    const envoy = new Envoy();
    envoy.serveBytes(good);
    return envoy;
  };
  const hit = (envoy: Envoy) =>
    envoy.request([
      [':path', '/a'],
      ['x-a', 'v'],
    ]).replies.length;

  it('takes a header map of 100 kB, 10,000 headers, one header sent 10,000 times', () => {
    const envoy = served();
    envoy.request([
      ['x-large', 'x'.repeat(100_000)],
      [':path', '/a'],
      ['x-a', `v${'y'.repeat(100_000)}`],
    ]);
    envoy.request(Array.from({ length: 10_000 }, (_, i) => [`x-${i}`, `${i}`] as const));
    const stream = envoy.request([...Array.from({ length: 10_000 }, () => ['x-b', 'one'] as const)]);
    assert.equal(stream.action, 0);
    assert.equal(hit(envoy), 1);
  });

  it('takes empty names and values, and bytes that are no UTF-8', () => {
    const envoy = served();
    const bad = new Uint8Array([0xff, 0xfe, 0x00, 0xc0, 0x80]);
    envoy.vm.request(envoy.root, pairs([...HEADERS, ['', ''], ['', 'x'], ['x-a', ''], [bad, bad], ['x-b', bad]]));
    envoy.vm.request(
      envoy.root,
      pairs([
        [':path', ''],
        ['x-a', ''],
      ]),
    );
    envoy.vm.request(envoy.root, pairs([]));
    assert.equal(hit(envoy), 1);
  });

  it('takes maps that are malformed in any way: 20,000 drawn', () => {
    const envoy = served();
    const map = pairs([...HEADERS, ['x-a', 'v'], ['x-b', 'one'], ['x-b', 'two'], ['user-agent', 'kube-probe/1.30']]);
    fc.assert(
      fc.property(
        fc.nat(map.length),
        fc.array(fc.tuple(fc.nat(map.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        (length, changes) => {
          const bytes = map.slice();
          for (const [at, value] of changes) bytes[at] = value;
          envoy.vm.end(envoy.vm.request(envoy.root, bytes.subarray(0, length)));
        },
      ),
      { numRuns: 20_000 },
    );
    assert.equal(hit(envoy), 1);
  });

  it('answers a request once at most', () => {
    const envoy = served();
    for (const headers of requests) {
      const stream = envoy.request(headers);
      envoy.process.advance(20);
      assert.ok(stream.replies.length + stream.continued <= 1);
    }
  });
});
