import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { policy } from '../../services/policy/schema.ts';
import { selects } from '../../services/policy/selector.ts';
import { type Applied, type Hit, Oracle, type ProxyPlace } from '../conformance/oracle.ts';
import type { Request } from '../conformance/oracle-match.ts';
import { StickyDice } from '../conformance/oracle-sticky.ts';
import { bytes } from '../support/header-pairs.ts';
import type { Vm } from '../support/wasm-host.ts';
import { asWritten, drawnPolicy } from './drawn-policies.ts';
import { request } from './drawn-requests.ts';
import { CONFIGURATION, Envoy } from './envoy.ts';

/** Compiler, selector and filter together against the slow matcher written from the reference. */

const DRAWS = Number(process.env.HFI_ORACLE_RUNS ?? 20_000);
/** Requests for each set of policies. */
const REQUESTS = 12;

type Direction = ProxyPlace['direction'];

/** An Envoy of two workers, with a root for each direction in each. */
class Lab {
  readonly envoy = new Envoy(2);
  readonly #roots = [...this.envoy.roots].map(([vm, inbound]) => ({
    vm,
    inbound,
    outbound: vm.configure({ ...CONFIGURATION, direction: 'outbound' }),
  }));
  #sent = 0;

  /** As if it were started anew: no rule was counted yet. */
  forgetCounts(): void {
    const { shared } = this.envoy.process;
    for (const key of shared.keys()) if (key.startsWith('hfi/n/')) shared.delete(key);
  }

  serve(policies: readonly Applied[], proxy: ProxyPlace): void {
    const own = policies.filter((one) => selects(one.policy.spec.selector, proxy));
    this.envoy.serveBytes(compileRuleset(own, this.envoy.now));
  }

  /** Sends a request to one worker after the other. @returns the rule that hit it */
  ask(direction: Direction, asked: Request): Hit | undefined {
    // A workload's own requests come to its proxy without a certificate.
    this.#property('connection\0uri_san_peer_certificate', direction === 'inbound' ? asked.source && bytes(asked.source) : undefined);
    this.#property('destination\0port', asked.port && new Uint8Array(new BigUint64Array([BigInt(asked.port)]).buffer));
    const { vm, [direction]: root } = this.#roots[this.#sent++ % this.#roots.length] ?? assert.fail();
    return hitOf(vm, root, asked);
  }

  #property(name: string, value: Uint8Array | '' | 0 | undefined): void {
    if (value) this.envoy.process.properties.set(name, value);
    else this.envoy.process.properties.delete(name);
  }
}

function hitOf(vm: Vm, root: number, { method, path, authority, headers }: Request): Hit | undefined {
  const stream = vm.request(root, [
    [':method', method],
    ...(path === undefined ? [] : [[':path', path] as const]),
    ...(authority === undefined ? [] : [[':authority', authority] as const]),
    [':scheme', 'http'],
    ...headers,
  ]);
  vm.end(stream);
  const [answer, shadow] = [stream.replies[0]?.headers.find(([name]) => name === 'x-hfi-fault')?.[1], stream.notes.get('hfi_shadow')];
  assert.ok(answer === undefined || shadow === undefined, 'hit and shadowed');
  if (answer !== undefined) return { rule: answer, shadow: false };
  return shadow === undefined ? undefined : { rule: shadow, shadow: true };
}

const proxy = fc.record({
  namespace: fc.constant('demo'),
  workload: fc.constant('frontend-v1'),
  labels: fc.constantFrom<Record<string, string>>(
    ...Array.from({ length: 6 }, () => ({ app: 'frontend', version: 'v1' })),
    { app: 'x', 'app.kubernetes.io/name': 'frontend', version: 'v2' },
    { app: 'x', 'app.kubernetes.io/name': 'x', 'service.istio.io/canonical-name': 'frontend' },
    {},
    { app: 'frontend', version: 'v1', 'hfi.dev/faults': 'disabled' },
  ),
  direction: fc.constantFrom<Direction>('inbound', 'inbound', 'outbound'),
});

/** How long before a request the last one was, in milliseconds. */
const pause = fc.constantFrom(0, 0, 0, 0, 1, 999, 1000, 4000);

describe('filter: equals the oracle', () => {
  it(`in ${DRAWS.toLocaleString('en')} drawn requests, ${REQUESTS} for each drawn set of policies`, function () {
    this.timeout(60_000 + DRAWS * 9);
    const lab = new Lab();
    const { envoy } = lab;
    const dice = new StickyDice();
    let hits = 0;
    fc.assert(
      fc.property(
        proxy,
        fc.array(drawnPolicy, { maxLength: 6 }),
        fc.array(fc.tuple(pause, request), { minLength: REQUESTS, maxLength: REQUESTS }),
        fc.option(drawnPolicy, { nil: undefined }),
        (place, drawn, requests, other) => {
          lab.forgetCounts();
          const oracle = new Oracle(place, dice);
          const now = envoy.now;
          const inForce = drawn.map(
            (one, i): Applied => ({ policy: policy.parse(asWritten(`p${(i * 7) % 10}`, one, now)), appliedAt: now - one.age }),
          );
          const apply = (policies: readonly Applied[]): void => {
            lab.serve(policies, place);
            oracle.apply(policies);
          };
          apply(inForce);
          requests.forEach(([ms, asked], i) => {
            if (ms > 0) envoy.process.advance(ms);
            // Halfway another policy comes, and the first is applied again.
            if (i === REQUESTS / 2 && other !== undefined) {
              const [first, ...rest] = inForce;
              const again = first === undefined ? [] : [{ ...first, appliedAt: envoy.now }];
              apply([...again, ...rest, { policy: policy.parse(asWritten('p9', other, envoy.now)), appliedAt: envoy.now }]);
            }
            const seen = lab.ask(place.direction, asked);
            const wanted = oracle.contradiction(asked, envoy.now, seen);
            assert.equal(
              wanted,
              undefined,
              `request ${i} was hit by ${JSON.stringify(seen)}: ${JSON.stringify({ place, now: envoy.now, inForce, asked })}`,
            );
            if (seen !== undefined) hits++;
          });
        },
      ),
      { numRuns: Math.ceil(DRAWS / REQUESTS) },
    );
    assert.ok(hits > DRAWS * 0.15, `only ${hits} of ${DRAWS} requests were hit: the drawing is too thin`);
    assert.ok(dice.size > 20, `${dice.size} sticky values`);
  });
});
