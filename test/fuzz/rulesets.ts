import {
  ACTION_ABORT,
  CHECKSUM_FROM,
  HEADER_CHECKSUM,
  HEADER_INBOUND,
  HEADER_LAYOUT,
  HEADER_LENGTH,
  LAYOUT_VERSION,
  RULE_ACTION,
  TABLE_RULES,
} from '../../filter/assembly/layout.ts';
import { adler32 } from '../../services/control-plane/ruleset/block.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import type { Dice } from './dice.ts';

/** Rulesets of drawn policies, whole and damaged. */

type Rule = PolicyInput['spec']['rules'][number];

const MATCHES: readonly Rule['match'][] = [
  undefined,
  { path: { prefix: '/a' } },
  { path: { regex: '/(a|b)+/[0-9]{1,3}(\\.html)?' } },
  { path: { contains: 'b' }, method: { exact: 'GET' } },
  {
    headers: [
      { name: 'x-a', suffix: 'z', ignoreCase: true },
      { name: 'x-b', present: false },
    ],
  },
  { query: [{ name: 'q', exact: 'é' }], cookies: [{ name: 'c', regex: '.*x.*' }] },
  { not: { path: { exact: '/a' } }, anyOf: [{ authority: { prefix: 'x' } }, { not: { headers: [{ name: 'x-a', present: true }] } }] },
  { grpc: { service: { prefix: 's' }, method: { exact: 'm' } }, port: 80 },
  { source: { namespace: 'demo' }, probes: true },
  { cluster: { prefix: 'in' }, path: { prefix: '/' } },
  { source: { workload: { regex: '.*' }, labels: { app: 'a', role: { present: false } } } },
  { after: 1, every: 2, sequence: ['fault', 'none'], limit: 5 },
  { window: { start: '2020-01-01T00:00:00Z' } },
];

const FAULTS: readonly Rule['fault'][] = [
  { abort: { httpStatus: 503, body: 'b', headers: { 'x-h': 'v' } } },
  { abort: { httpStatus: 500, body: '{{method}} {{path}} {{header x-a}}' }, percentage: 50 },
  { abort: { grpcStatus: 14, grpcMessage: 'm', at: 'response' } },
  { abort: { reset: true }, start_delay_ms: 5 },
  { abort: { reset: true, at: 'response' }, delay: { fixed_delay: '5ms' } },
  { delay: { percentiles: { p50: '5ms', p99: '1s' }, jitter: '3ms' } },
  { delay: { normal: { mean: '5ms', stddev: '5ms' }, at: 'response' }, abort: { httpStatus: 418, at: 'response' } },
  { delay: { header: { name: 'x-a', max: '20ms' }, jitter: '1ms' } },
  { delay: { ramp: { from: '0ms', to: '1s', over: '1m' } } },
  {
    response: {
      status: 404,
      body: 'other',
      headers: { set: { a: '1' }, add: { b: '2' }, remove: ['c'] },
      trailers: { 'grpc-status': '3' },
    },
  },
  { response: { truncate: { bytes: 3 }, corrupt: { percentage: 50, seed: 7 } } },
  { response: { truncate: { bytes: 2, end: 'clean' }, throttle: '1KiB/s' } },
  {
    request: { body: 'new', latency: '5ms', headers: { set: { ':path': '/x' } } },
    response: { throttle: '100B/s', latency: '3ms', jitter: '5ms' },
  },
  { request: { truncate: { bytes: 1 }, corrupt: {} }, delay: { fixed_delay_ms: 3 } },
  { request: { query: { set: { q: 'é&', a: '1' }, add: { b: '' }, remove: ['x'] } } },
  { request: { path: { prefix: '/a', to: '/bcd' }, query: { add: { z: '1' } } } },
  { request: { path: '/x' }, percentage: 50 },
  { response: { body: 'z', status: 500 }, ifStatus: { from: 200, to: 299 } },
  { response: { status: 204 }, sticky: { cookie: 'c', seed: 3 }, percentage: 50 },
  { abort: { httpStatus: 502 }, percentage: { ramp: { from: 0, to: 100, over: '1m' } }, duration_seconds: 3600 },
];

/** @param now milliseconds since the epoch */
export function drawnRuleset(dice: Dice, now: number): Uint8Array {
  const entries = Array.from({ length: 1 + dice.below(3) }, (_, i) => {
    const rules = Array.from({ length: 1 + dice.below(4) }, () => ({ match: dice.pick(MATCHES), fault: dice.pick(FAULTS) }));
    const spec = { rules, priority: dice.below(3), mode: dice.oneIn(8) ? 'shadow' : 'enforce' } as PolicyInput['spec'];
    return { policy: policy.parse({ metadata: { name: `p${i}` }, spec: JSON.parse(JSON.stringify(spec)) }), appliedAt: now };
  });
  return compileRuleset(entries, now);
}

const EDGES = [0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 0x7f, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Damages bytes in a few places; words mostly, since everything in them is one. */
export function damaged(bytes: Uint8Array, dice: Dice): Uint8Array {
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  if (out.length < 8) return out;
  const word = (): number => dice.below(Math.floor(out.length / 4)) * 4;
  for (let left = 1 + dice.below(6); left > 0; left--) {
    const at = word();
    const kind = dice.below(5);
    if (kind === 0) out[dice.below(out.length)] = dice.below(256);
    else if (kind === 1) view.setUint32(at, dice.pick(EDGES), true);
    else if (kind === 2) view.setUint32(at, view.getUint32(word(), true), true);
    else if (kind === 3) view.setUint32(at, (view.getUint32(at, true) + dice.below(9) - 4) >>> 0, true);
    else view.setUint32(at, dice.below(out.length + 8), true);
  }
  return out;
}

/** Damages that showed bugs, made anew of whatever layout is the present one. */
export const SHOWED_BUGS: Readonly<Record<string, (now: number) => Uint8Array>> = {
  'an abort at the response that is not there': (now) => {
    // Where an abort at the action's first byte would have the number of its segments, the delay says its milliseconds.
    const fault = { start_delay_ms: 3_000_000, delay: { fixed_delay: '1ms' }, abort: { reset: true, at: 'response' } };
    const made = policy.parse({ metadata: { name: 'p' }, spec: { rules: [{ fault }] } });
    const bytes = compileRuleset([{ policy: made, appliedAt: now }], now);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const rules = view.getUint32(view.getUint32(HEADER_INBOUND, true) + TABLE_RULES, true);
    view.setUint32(view.getUint32(rules + RULE_ACTION, true) + ACTION_ABORT, 0, true);
    return sealed(bytes);
  },
};

/** A ruleset that was kept, as one of the present layout: of another it would be refused unread. */
export function asPresent(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  if (out.length > HEADER_LAYOUT + 4) new DataView(out.buffer).setUint32(HEADER_LAYOUT, LAYOUT_VERSION, true);
  return sealed(out);
}

/** Writes the length and the checksum that the bytes would have, so that what is behind them is looked at. */
export function sealed(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  if (out.length < CHECKSUM_FROM) return out;
  const view = new DataView(out.buffer);
  view.setUint32(HEADER_LENGTH, out.length, true);
  view.setUint32(HEADER_CHECKSUM, adler32(out.subarray(CHECKSUM_FROM)), true);
  return out;
}
