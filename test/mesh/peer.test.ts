import assert from 'node:assert/strict';
import { join } from 'node:path';
import { buildFilter, FILTER_PATH } from '../../build/filter.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { policy } from '../../services/policy/schema.ts';
import { hfiFilter, startProxy, wasmFilter } from '../bench/envoy.ts';
import { RulesetServer } from '../bench/ruleset-server.ts';
import { sealed } from '../fuzz/rulesets.ts';
import { Processes } from '../support/processes.ts';

/**
 * Where Istio's Envoy leaves what it is told of the caller, and how a plugin gets at it. No registry has that Envoy; but the state is a
 * `google.protobuf.Struct` that any Envoy can hold, though a plugin can give it no name but one of its own.
 */
const [ISTIOS_NAME, OUR_NAME] = ['downstream_peer', 'wasm.peer_state'];

/** A field of a message of protobuf: text, bytes, or a number. */
function field(number: number, value: string | Uint8Array | number): Buffer {
  if (typeof value === 'number') return Buffer.from([number << 3, value]);
  const bytes = Buffer.from(value);
  assert.ok(bytes.length < 128);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

interface Struct {
  readonly [name: string]: string | Struct;
}

function struct(fields: Struct): Buffer {
  const kindOf = (value: string | Struct): Buffer => (typeof value === 'string' ? field(3, value) : field(5, struct(value)));
  return Buffer.concat(Object.entries(fields).map(([name, value]) => field(1, Buffer.concat([field(1, name), field(2, kindOf(value))]))));
}

/** What Istio 1.25 and newer tell of a caller (istio/proxy `extensions/common/metadata_object.cc`, `serializeAsProto`). */
const PEER = { workload: 'web-v2', namespace: 'shop', service: 'web', revision: 'v2', app: 'web', labels: { role: 'canary' } };
const PROTOBUF = 3;
const DECLARATION = Buffer.concat([field(1, 'peer_state'), field(3, PROTOBUF), field(4, 'type.googleapis.com/google.protobuf.Struct')]);

describe("mesh: the caller by what its sidecar says, from the filter state of Envoy's requests", function () {
  this.timeout(60_000);
  let processes: Processes;
  let server: RulesetServer;
  let port: number;

  before(async () => {
    processes = await Processes.begin();
    server = await RulesetServer.start(new Map([['peer', compileRuleset([], Date.now())]]));
    const { path } = await buildFilter('test/mesh/peer-filter/peer.ts', join(processes.folder, 'peer.wasm'));
    const size = Buffer.alloc(4);
    size.writeUInt32LE(DECLARATION.length);
    const told = wasmFilter(path, Buffer.concat([size, DECLARATION, struct(PEER)]));
    ({ port } = await startProxy(processes, { name: 'peer', filters: [told, hfiFilter(FILTER_PATH, 't')], controlPlanePort: server.port }));
    await server.hasVms('peer', 2);
  });
  after(async () => {
    server?.stop();
    await processes?.end();
  });

  /** @returns the answers to a caller of whom it is told, and to one of whom nothing is */
  async function answers(source: object): Promise<number[]> {
    const rules = [{ match: { source }, fault: { abort: { httpStatus: 418 } } }];
    const ruleset = compileRuleset([{ policy: policy.parse({ metadata: { name: 'p' }, spec: { rules } }), appliedAt: 0 }], Date.now());
    const renamed = Uint8Array.from(Buffer.from(Buffer.from(ruleset).toString('latin1').replaceAll(ISTIOS_NAME, OUR_NAME), 'latin1'));
    assert.equal(renamed.length, ruleset.length);
    await server.replace('peer', sealed(renamed));
    const ask = async (headers: Record<string, string>): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`, { headers })).status;
    return [await ask({ 'x-peer': '1' }), await ask({})];
  }

  for (const [what, source, hit] of [
    ['workload', { workload: 'web-v2' }, true],
    ['another workload', { workload: 'web-v1' }, false],
    ['service', { service: { prefix: 'we' } }, true],
    ['version', { version: 'v2' }, true],
    ['label app', { labels: { app: 'web' } }, true],
    ['label version, which is not told', { labels: { version: '*' } }, false],
    ['another label', { labels: { role: { regex: 'can.*' } } }, true],
    ['another label that is there', { labels: { role: '*' } }, true],
    ['a label that is not there', { labels: { tier: '*' } }, false],
  ] as const) {
    it(`${what}: ${hit ? 'hit' : 'left alone'}, and nobody else`, async () =>
      assert.deepEqual(await answers(source), [hit ? 418 : 200, 200]));
  }
});
