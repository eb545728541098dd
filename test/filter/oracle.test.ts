import assert from 'node:assert/strict';
import fc from 'fast-check';
import { bytes } from '../../filter/host/header-pairs.ts';
import { peerProperties } from '../../filter/host/peer.ts';
import { type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';
import { selects } from '../../services/policy/selector.ts';
import { decide, type ProxyPlace } from '../conformance/oracle.ts';
import type { Request } from '../conformance/oracle-match.ts';
import { request, spec } from './drawn.ts';
import { Envoy } from './envoy.ts';

/** Compiler, selector and filter together against the slow matcher written from the reference. */

const DRAWS = Number(process.env.HFI_ORACLE_RUNS ?? 20_000);
/** Requests for each set of policies. */
const REQUESTS = 10;

const place = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend', version: 'v1' } };

function parsed(drawn: readonly (typeof spec extends fc.Arbitrary<infer T> ? T : never)[]): Policy[] {
  return drawn.map((one, i) => {
    const rules = one.rules.map(({ match, duration, sticky }, j) => ({
      ...(match && { match }),
      fault: { duration_seconds: duration, ...(sticky && { sticky }), abort: { httpStatus: 400 + i * 10 + j } },
    }));
    return policy.parse({ metadata: { name: `p${(i * 7) % 10}` }, spec: { ...one, rules } } as PolicyInput);
  });
}

/** An Envoy with a root for each direction. */
class Lab {
  readonly envoy = new Envoy();
  /** What is told of the present request's caller. */
  #told: readonly string[] = [];
  readonly #roots = {
    inbound: this.envoy.root,
    outbound: this.envoy.vm.configure({ cluster: 'hfi-control-plane', direction: 'outbound' }),
  };

  /** @returns the rule that answered, as `policy/rule` */
  ask(direction: 'inbound' | 'outbound', asked: Request): string | undefined {
    // A workload's own requests come to its proxy without a certificate.
    this.#property('connection\0uri_san_peer_certificate', direction === 'inbound' ? asked.source && bytes(asked.source) : undefined);
    for (const name of this.#told) this.envoy.process.properties.delete(name);
    const told = peerProperties((direction === 'inbound' ? asked.peer : undefined) ?? {});
    for (const [name, value] of told) this.#property(name, bytes(value));
    this.#told = [...told.keys()];
    this.#property('xds\0cluster_name', asked.cluster && bytes(asked.cluster));
    this.#property('destination\0port', asked.port && new Uint8Array(new BigUint64Array([BigInt(asked.port)]).buffer));
    const { vm } = this.envoy;
    const stream = vm.request(this.#roots[direction], [
      [':method', asked.method],
      [':path', asked.path],
      [':authority', asked.authority],
      [':scheme', 'http'],
      ...asked.headers,
    ]);
    vm.end(stream);
    return stream.replies[0]?.headers.find(([name]) => name === 'x-hfi-fault')?.[1];
  }

  #property(name: string, value: Uint8Array | '' | 0 | undefined): void {
    if (value) this.envoy.process.properties.set(name, value);
    else this.envoy.process.properties.delete(name);
  }
}

describe('filter: equals the oracle', () => {
  it(`in ${DRAWS.toLocaleString('en')} drawn requests, ten for each drawn set of policies`, function () {
    this.timeout(60_000 + DRAWS * 9);
    const lab = new Lab();
    const { envoy } = lab;
    let decided = 0;
    fc.assert(
      fc.property(
        fc.array(spec, { maxLength: 6 }),
        fc.array(request, { minLength: REQUESTS, maxLength: REQUESTS }),
        fc.constantFrom('inbound' as const, 'inbound' as const, 'outbound' as const),
        fc.constantFrom(0, 9_999, 10_000),
        (drawn, requests, direction, age) => {
          const proxy: ProxyPlace = { ...place, direction };
          const policies = parsed(drawn);
          const appliedAt = Math.round(envoy.now) - age;
          envoy.serve(
            policies.filter((one) => selects(one.spec.selector, proxy)),
            appliedAt,
          );
          for (const asked of requests) {
            const expected = decide(
              policies.map((one) => ({ policy: one, appliedAt })),
              proxy,
              asked,
              envoy.now,
            );
            assert.equal(lab.ask(direction, asked), expected && `${expected.policy}/${expected.rule}`, JSON.stringify({ policies, asked }));
            if (expected) decided++;
          }
        },
      ),
      { numRuns: Math.ceil(DRAWS / REQUESTS) },
    );
    assert.ok(decided > DRAWS * 0.15, `only ${decided} of ${DRAWS} requests met a rule: the drawing is too thin`);
  });
});
