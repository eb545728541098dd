import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { send, sendMany, statuses } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const LEASE_MS = 4000;
/** A proxy's pause between tries is at most this long. */
const BACKOFF_MS = 5000;
const rules = [{ fault: { abort: { httpStatus: 503 } } }];

describe('chaos: the line between a real Envoy and the control plane', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let line: TcpProxy;
  let sidecar: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    line = await TcpProxy.start(mesh.replica.port);
    sidecar = await mesh.sidecar('afar', { leaseMs: LEASE_MS, controlPlanePort: line.port });
    await mesh.apply('afar', { selector: { service: 'afar' }, rules });
  });
  beforeEach(() => until(async () => (await send(sidecar.inbound)).status === 503 && (await connected()), 'it faults', BACKOFF_MS + 3000));
  after(async () => {
    line.close();
    await mesh.end();
  });

  async function connected(): Promise<boolean> {
    return (await sidecar.metric('connected')) === 1;
  }

  /** Statuses of requests sent for so long, each with when it was sent. */
  async function traffic(ms: number): Promise<{ status: number; at: number }[]> {
    const begun = performance.now();
    const seen: { status: number; at: number }[] = [];
    while (performance.now() - begun < ms) {
      const at = performance.now() - begun;
      seen.push({ status: (await send(sidecar.inbound)).status, at });
      await sleep(10);
    }
    return seen;
  }

  for (const how of ['cut', 'stalled'] as const) {
    const fail = () => (how === 'cut' ? line.cut() : line.stall('both'));

    it(`${how} for less than the lease: no request is left alone, and a change made meanwhile arrives`, async () => {
      fail();
      const seen = await traffic(LEASE_MS / 4);
      line.pass();
      assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([503]));
      assert.equal(
        (await mesh.replica.put('afar', { selector: { service: 'afar' }, rules: [{ fault: { abort: { httpStatus: 418 } } }] })).status,
        200,
      );
      await until(async () => (await send(sidecar.inbound)).status === 418, 'the change arrives', BACKOFF_MS + 3000);
      assert.equal((await mesh.replica.put('afar', { selector: { service: 'afar' }, rules })).status, 200);
    });

    it(`${how} for more than the lease: faults end with it, not before, and come back when the line does`, async () => {
      fail();
      const seen = await traffic(LEASE_MS + 1500);
      const last = seen.findLast(({ status }) => status === 503)?.at ?? 0;
      const first = seen.find(({ status }) => status !== 503)?.at ?? 0;
      assert.ok(last < LEASE_MS + 1000, `still faulted after ${last} ms`);
      // The last answer came at most one wait before.
      assert.ok(first > LEASE_MS - 1600, `stopped after ${first} ms`);
      assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([503, 200]));
      line.pass();
      await until(async () => (await send(sidecar.inbound)).status === 503, 'faults are back', BACKOFF_MS + 3000);
    });
  }

  it('whose answers are cut short, or changed: the ruleset in force stays, no request fails, and the next good one is taken', async () => {
    for (const [i, change] of [
      (bytes: Buffer) => bytes.subarray(0, Math.max(1, bytes.length - 40)),
      (bytes: Buffer) => bytes.subarray(0, 20),
      (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at > 400 && at % 97 === 0 ? byte ^ 0x55 : byte))),
    ].entries()) {
      line.alter(change);
      assert.ok((await mesh.replica.put('afar', { selector: { service: 'afar' }, priority: i + 1, rules })).status < 300);
      const seen = await traffic(LEASE_MS / 4);
      assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([503]), `change ${i}`);
      line.cut();
      line.alter((bytes) => bytes);
      line.pass();
      const { headers } = await mesh.replica.ask('GET', '/v1/policies/afar');
      const revision = (headers.get('etag') ?? '').replaceAll('"', '');
      await until(
        async () => (await mesh.replica.ask('GET', `/v1/rollout?revision=${revision}`)).body.done === true,
        'the good one is in force',
        BACKOFF_MS + 5000,
      );
    }
    assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 503: 50 });
  });

  it('that is slow by half a second each way: changes arrive, and the lease is kept', async () => {
    line.delay(500);
    assert.equal(
      (await mesh.replica.put('afar', { selector: { service: 'afar' }, rules: [{ fault: { abort: { httpStatus: 418 } } }] })).status,
      200,
    );
    await until(async () => (await send(sidecar.inbound)).status === 418, 'the change arrives', BACKOFF_MS);
    const seen = await traffic(LEASE_MS + 500);
    line.delay(0);
    assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([418]));
    assert.equal((await mesh.replica.put('afar', { selector: { service: 'afar' }, rules })).status, 200);
  });
});
