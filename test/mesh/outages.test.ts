import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HEADER_LAYOUT, LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { policy } from '../../services/policy/schema.ts';
import { Replica } from '../support/control-plane.ts';
import { send, sendMany, statuses } from '../support/load.ts';
import { Mesh } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const everything = { rules: [{ fault }] };

describe('mesh: parts that fail', function () {
  this.timeout(90_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh?.end());

  it('the control plane dies: faults end with the lease, not before, and come back with it', async () => {
    const leaseMs = 3000;
    const sidecar = await mesh.sidecar('leased', { leaseMs });
    await mesh.apply('leased', { selector: { service: 'leased' }, rules: [{ fault }] });
    assert.equal((await send(sidecar.inbound)).status, 503);
    const dying = mesh.replica;
    await dying.kill();
    const died = performance.now();
    let last = 0;
    let first = 0;
    while (performance.now() - died < leaseMs + 1500) {
      const { status } = await send(sidecar.inbound);
      if (status === 503) last = performance.now() - died;
      else if (first === 0) first = performance.now() - died;
      await sleep(10);
    }
    assert.ok(last < leaseMs + 1000, `still faulted after ${last} ms`);
    // The last answer came at most one wait (1 s) before the death.
    assert.ok(first > leaseMs - 1100, `stopped after ${first} ms`);
    assert.equal(await sidecar.metric('connected'), 0);
    assert.ok(((await sidecar.metric('polls_failed_total')) ?? 0) > 2);
    mesh.replica = await Replica.start(mesh.processes, mesh.etcd.url, { port: dying.port });
    await until(async () => (await send(sidecar.inbound)).status === 503, 'faults are back', 8000);
    await until(async () => (await sidecar.metric('connected')) === 1, 'it shows');
    await sidecar.kill();
  }).timeout(60_000);

  it('a policy is deleted while proxies are cut off: they fault within the lease, and stop when they are back', async () => {
    const sidecar = await mesh.sidecar('cut', { leaseMs: 20_000 });
    await mesh.apply('cut', { selector: { service: 'cut' }, rules: [{ fault }] });
    const { port } = mesh.replica;
    await mesh.replica.kill();
    const unreached = await Replica.start(mesh.processes, mesh.etcd.url);
    assert.equal((await unreached.ask('DELETE', '/v1/policies/cut')).status, 200);
    for (let i = 0; i < 20; i++) {
      assert.equal((await send(sidecar.inbound)).status, 503);
      await sleep(50);
    }
    await unreached.kill();
    mesh.replica = await Replica.start(mesh.processes, mesh.etcd.url, { port });
    // The backoff is at most 5 s.
    await until(async () => (await send(sidecar.inbound)).status === 200, 'the delete arrives', 6000);
    await mesh.apply('cut', { selector: { service: 'cut' }, rules: [{ fault }] });
    assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 503: 50 });
    await mesh.remove('cut');
    await sidecar.kill();
  });

  it('an Envoy is killed while requests are delayed: the next one faults from its first ruleset on', async () => {
    const sidecar = await mesh.sidecar('victim');
    await mesh.apply('victim', { selector: { service: 'victim' }, rules: [{ fault: { delay: { fixed_delay: '5s' } } }] });
    const held = Array.from({ length: 20 }, () => send(sidecar.inbound));
    await until(async () => (await sidecar.metric('requests_delayed')) === 20, 'they are held');
    await sidecar.kill();
    assert.deepEqual(statuses(await Promise.all(held)), { 0: 20 });
    await mesh.remove('victim');
    await sidecar.restart();
    await mesh.apply('victim', { selector: { service: 'victim' }, rules: [{ fault }] });
    await until(async () => (await send(sidecar.inbound)).status === 503, 'it faults again', 2000);
    await sidecar.kill();
  });

  it('holds no more than configured; the rest pass and are counted', async () => {
    const sidecar = await mesh.sidecar('full', {
      change: (text) => text.replaceAll('\\"leaseMs\\"', '\\"maxDelayedRequests\\":5,\\"leaseMs\\"'),
    });
    await mesh.apply('full', { selector: { service: 'full' }, rules: [{ fault: { delay: { fixed_delay: '800ms' } } }] });
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(sidecar.inbound)));
    assert.deepEqual(statuses(answers), { 200: 20 });
    assert.equal(answers.filter(({ ms }) => ms >= 800).length, 5);
    assert.equal(await sidecar.metric('faults_delays_overflow_total'), 15);
    await sidecar.kill();
  });

  it('two workers start at once, 20 times: one polls, both fault', async () => {
    const stub = await StubControlPlane.start();
    stub.serve(everythingBytes());
    for (let i = 0; i < 20; i++) {
      const sidecar = await mesh.sidecar(`twin-${i}`, { controlPlanePort: stub.port, waitForRuleset: false });
      await until(() => stub.acknowledged.has(rulesetVersion(everythingBytes())), 'it is acknowledged', 3000);
      assert.deepEqual(statuses(await sendMany(sidecar.inbound, 60, 12)), { 503: 60 });
      assert.ok(stub.held <= 1, `${stub.held} polls at a time`);
      await sidecar.kill();
      stub.acknowledged.clear();
    }
    stub.close();
  });

  for (const [what, bytes] of [
    ['cut short', everythingBytes().subarray(0, 100)],
    ['damaged', Uint8Array.from(everythingBytes(), (byte, i) => (i === 200 ? byte ^ 1 : byte))],
    ['of a newer layout', Uint8Array.from(everythingBytes(), (byte, i) => (i === HEADER_LAYOUT ? LAYOUT_VERSION + 1 : byte))],
    ['no ruleset', new TextEncoder().encode('<html>an error page of somebody in between</html>')],
  ] as const) {
    it(`a ruleset that is ${what} is refused and counted; the one in force stays`, async () => {
      const stub = await StubControlPlane.start();
      stub.serve(everythingBytes());
      const sidecar = await mesh.sidecar('refuser', { controlPlanePort: stub.port });
      await until(() => stub.acknowledged.size > 0, 'the good one is acknowledged');
      stub.serve(bytes);
      await until(async () => ((await sidecar.metric('rulesets_refused_total')) ?? 0) >= 2, 'it is refused, again and again');
      assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 8)), { 503: 50 });
      assert.match(stub.refused, /^\d+;/);
      stub.serve(compileRuleset([], 0));
      await until(async () => (await send(sidecar.inbound)).status === 200, 'the next good one is taken', 8000);
      await sidecar.kill();
      stub.close();
    });
  }

  it('an identity that can not be read is shown, and gets no fault', async () => {
    const sidecar = await mesh.sidecar('nobody', { change: (text) => text.replace(/"metadata":\{[^}]*\{[^}]*\}[^}]*\}/, '"metadata":{}') });
    await mesh.apply('all', everything);
    assert.equal((await send(sidecar.inbound)).status, 200);
    assert.equal(await sidecar.metric('identity_unreadable'), 1);
    const { items } = (await mesh.replica.ask('GET', '/v1/proxies')).body as { items: { connected: boolean; unreadable: string[] }[] };
    assert.ok(items.some(({ unreadable }) => unreadable.join() === 'namespace,workload,labels'));
    await mesh.remove('all');
    await sidecar.kill();
  });

  it('a plugin configuration that can not be read is shown, and traffic flows', async () => {
    const sidecar = await mesh.sidecar('misconfigured', {
      waitForRuleset: false,
      change: (text) => text.replaceAll('\\"cluster\\":', '\\"clustre\\":'),
    });
    await until(async () => (await sidecar.metric('config_invalid')) === 1, 'it is shown');
    assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 200: 50 });
    await sidecar.kill();
  });

  it('a control plane that is not there keeps no Envoy from serving', async () => {
    const sidecar = await mesh.sidecar('lonely', { controlPlanePort: await freePort(), waitForRuleset: false });
    assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 200: 50 });
    await until(async () => ((await sidecar.metric('polls_failed_total')) ?? 0) >= 3, 'its polls fail');
    assert.equal(await sidecar.metric('connected'), 0);
    await sidecar.kill();
  });
});

function everythingBytes(): Uint8Array {
  return compileRuleset([{ policy: policy.parse({ metadata: { name: 'stub' }, spec: everything }), appliedAt: 0 }], 0);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Serves whatever bytes a test wants, as no real control plane would. */
class StubControlPlane {
  readonly acknowledged = new Set<string>();
  refused = '';
  readonly #server: Server;
  readonly #held = new Set<ServerResponse>();
  #bytes: Uint8Array = new Uint8Array();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<StubControlPlane> {
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      const { headers } = request;
      if (typeof headers['x-hfi-acknowledged'] === 'string') stub.acknowledged.add(headers['x-hfi-acknowledged']);
      if (typeof headers['x-hfi-refused'] === 'string') stub.refused = headers['x-hfi-refused'];
      if (headers['if-none-match'] !== stub.#etag()) stub.#answer(response);
      else {
        stub.#held.add(response);
        response.on('close', () => stub.#held.delete(response));
      }
    });
    const stub: StubControlPlane = new StubControlPlane(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Polls held now. */
  get held(): number {
    return this.#held.size;
  }

  serve(bytes: Uint8Array): void {
    this.#bytes = bytes;
    for (const response of this.#held) this.#answer(response);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #etag(): string {
    return `"${rulesetVersion(this.#bytes)}"`;
  }

  #answer(response: ServerResponse): void {
    response.writeHead(200, { etag: this.#etag(), 'x-hfi-time': String(Date.now()) });
    response.end(this.#bytes);
  }
}
