import assert from 'node:assert/strict';
import { hfi } from '../cli/hfi.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { send } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';
import { Traffic } from '../support/traffic.ts';

const fault = { abort: { httpStatus: 503 } };

interface PolicyCounts {
  readonly total: { readonly matched: number; readonly injected: number; readonly kinds: Readonly<Record<string, number>> };
  readonly rules: readonly { readonly limitReached: boolean }[];
  readonly proxies: readonly { readonly name: string; readonly counts: { readonly injected: number } }[];
}

/** Traffic for so long. @returns how many requests were answered 503 */
async function traffic(proxy: Sidecar, ms: number, during: () => Promise<void> = async () => {}): Promise<number> {
  const clients = new Traffic(`${proxy.inbound}/steady`, 4);
  const begun = performance.now();
  await during();
  await until(() => performance.now() - begun >= ms, 'the time is over', ms + 5000);
  await clients.stop();
  assert.equal(clients.statuses.get(0), undefined, 'every request was answered');
  return clients.faulted;
}

describe('mesh: counts', function () {
  this.timeout(120_000);
  let mesh: Mesh;
  let proxy: Sidecar;
  let seen = 0;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    proxy = await mesh.sidecar('frontend');
    await mesh.apply('steady', { rules: [{ match: { path: { exact: '/steady' } }, fault: { ...fault, percentage: 40 } }] });
  });
  after(() => mesh.end());

  async function counts(name: string): Promise<PolicyCounts> {
    const reply = await mesh.replica.ask('GET', `/v1/policies/${name}/counts`);
    return reply.body as unknown as PolicyCounts;
  }

  /** Waits until as many are counted as the clients saw, and sees that it doesn't become more. */
  async function agrees(): Promise<void> {
    let injected = 0;
    await until(
      async () => {
        injected = (await counts('steady')).total?.injected ?? 0;
        return injected >= seen;
      },
      () => `the clients saw ${seen}, ${injected} are counted`,
      10_000,
    );
    // Longer than a report takes.
    const later = performance.now() + 2500;
    await until(() => performance.now() >= later, 'what may still come has come');
    const { total, proxies } = await counts('steady');
    assert.deepEqual([total.injected, total.kinds.abort], [seen, seen]);
    assert.equal(
      proxies.reduce((sum, one) => sum + one.counts.injected, 0),
      seen,
    );
  }

  it('are what the clients saw', async () => {
    seen += await traffic(proxy, 3000);
    await agrees();
  });

  it('are so while other policies come, change and go under load, whose runs add up too', async () => {
    let churned = 0;
    seen += await traffic(proxy, 6000, async () => {
      const others = new Traffic(`${proxy.inbound}/churn`, 2);
      for (let i = 0; i < 12; i++) {
        await mesh.apply('churn', { priority: i, rules: [{ match: { path: { exact: '/churn' } }, fault: { ...fault, percentage: 70 } }] });
        await until(() => others.faulted > churned + 5, 'some are faulted');
        churned = others.faulted;
      }
      await mesh.remove('churn');
      await others.stop();
      churned = others.faulted;
    });
    await agrees();
    await until(
      async () =>
        (await (await fetch(`${mesh.replica.url}/metrics`)).text()).includes(`\nhfi_injected_requests_total{policy="churn"} ${churned}\n`),
      `the page shows ${churned}`,
      5000,
    );
  });

  it('are so over a kill of the control plane under load', async () => {
    seen += await traffic(proxy, 6000, async () => {
      await mesh.replica.kill('SIGKILL');
      mesh.replica = await Replica.start(mesh.processes, mesh.etcd.url, { port: mesh.replica.port });
    });
    await agrees();
  });

  it('are so over a kill of etcd under load', async () => {
    seen += await traffic(proxy, 5000, async () => {
      await mesh.etcd.kill();
      await mesh.etcd.start();
    });
    await agrees();
  });

  it('are so over a kill of Envoy that had told all, and of the control plane after that', async () => {
    await proxy.kill();
    await proxy.restart();
    await until(async () => (await proxy.metric('rulesets_accepted_total')) === 1, 'it has its ruleset');
    seen += await traffic(proxy, 2000);
    await agrees();
    await mesh.replica.kill('SIGKILL');
    mesh.replica = await Replica.start(mesh.processes, mesh.etcd.url, { port: mesh.replica.port });
    await agrees();
  });

  it('of an Envoy that is killed under load lack at most what it did in its last 1.5 seconds', async () => {
    const before = seen;
    const clients = new Traffic(`${proxy.inbound}/steady`, 4, 5);
    const times: { readonly at: number; readonly faulted: number }[] = [];
    const begun = performance.now();
    await until(() => {
      times.push({ at: performance.now(), faulted: clients.faulted });
      return performance.now() - begun > 4000;
    }, 'there was traffic');
    await proxy.kill();
    const killed = performance.now();
    await clients.stop();
    const told = times.findLast(({ at }) => at < killed - 1500)?.faulted ?? 0;
    await until(async () => (await counts('steady')).total.injected >= before + told, 'what was told is counted', 5000);
    const { injected } = (await counts('steady')).total;
    assert.ok(injected <= before + clients.faulted + 4, `${injected} counted, ${before + clients.faulted} seen`);
    seen = injected;
    await proxy.restart();
    await until(async () => (await proxy.metric('rulesets_accepted_total')) === 1, 'it has its ruleset');
  });

  it('are in hfi policy describe', async () => {
    seen += await traffic(proxy, 2000);
    await agrees();
    const env = { HFI_CONTROL_PLANE_ADDR: mesh.replica.url, HFI_TOKEN: TOKENS.viewer };
    const json = await hfi(['policy', 'describe', 'steady', '-o', 'json'], { env });
    assert.equal((JSON.parse(json.stdout) as { counts: PolicyCounts }).counts.total.injected, seen, json.stderr);
    const { stdout } = await hfi(['policy', 'describe', 'steady'], { env });
    assert.match(stdout, new RegExp(`^Injected   ${seen} requests so far`, 'm'));
    assert.match(stdout, new RegExp(`runs it  .*version [0-9a-f]{16} since 20.*; ${seen} requests so far`));
  });

  it('of an ended policy that hit nothing say that it is inconclusive', async () => {
    await mesh.apply('nobody', { rules: [{ match: { path: { exact: '/nobody' } }, fault: { ...fault, duration_seconds: 1 } }] });
    await mesh.apply('somebody', { rules: [{ match: { path: { exact: '/somebody' } }, fault: { ...fault, duration_seconds: 1 } }] });
    assert.equal((await send(`${proxy.inbound}/somebody`)).status, 503);
    const verdict = async (name: string): Promise<unknown> => (await mesh.replica.ask('GET', `/v1/policies/${name}/counts`)).body.verdict;
    await until(async () => (await verdict('nobody')) === 'inconclusive', 'it is inconclusive', 10_000);
    assert.equal(await verdict('somebody'), 'effective');
    const env = { HFI_CONTROL_PLANE_ADDR: mesh.replica.url, HFI_TOKEN: TOKENS.viewer };
    assert.match((await hfi(['policy', 'describe', 'nobody'], { env })).stdout, /^nobody {2}ended .*: INCONCLUSIVE/);
    assert.doesNotMatch((await hfi(['policy', 'describe', 'somebody'], { env })).stdout, /INCONCLUSIVE/);
  });
});

describe('mesh: a limit for the fleet', function () {
  this.timeout(120_000);
  let mesh: Mesh;
  let sidecars: Sidecar[];
  const LIMIT = 1000;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    sidecars = await Promise.all(['left', 'right'].map((name) => mesh.sidecar(name)));
  });
  after(() => mesh.end());

  const injected = async (): Promise<number> =>
    ((await mesh.replica.ask('GET', '/v1/policies/few/counts')).body as unknown as PolicyCounts).total.injected;

  it('ends the rule on all proxies, at most about a second late, and no proxy alone exceeds it', async () => {
    await mesh.apply('few', { rules: [{ match: { limit: { fleet: LIMIT } }, fault }] });
    const clients = sidecars.map(({ inbound }) => new Traffic(inbound, 2, 5));
    const all = (): number => clients.reduce((sum, { faulted }) => sum + faulted, 0);
    const times: { readonly at: number; readonly faulted: number }[] = [];
    let last = 0;
    let since = performance.now();
    await until(
      () => {
        const now = performance.now();
        times.push({ at: now, faulted: all() });
        if (all() !== last) since = now;
        last = all();
        return last >= LIMIT && now - since > 1000;
      },
      'no more are faulted',
      30_000,
    );
    await Promise.all(clients.map((one) => one.stop()));
    const reached = times.find(({ faulted }) => faulted >= LIMIT)?.at ?? 0;
    const late = (times.findLast(({ faulted }) => faulted < all())?.at ?? 0) - reached;
    const perSecond = LIMIT / ((reached - (times[0]?.at ?? 0)) / 1000);
    assert.ok(late <= 1500, `${late} ms late`);
    assert.ok(all() - LIMIT <= perSecond * 1.5, `${all()} of ${LIMIT}, at ${perSecond} a second`);
    for (const { faulted } of clients) assert.ok(faulted <= LIMIT);
    await until(async () => (await injected()) === all(), 'all are counted', 5000);
  });

  it('holds over a restart of the control plane, and of a proxy', async () => {
    const before = await injected();
    await mesh.replica.kill('SIGKILL');
    mesh.replica = await Replica.start(mesh.processes, mesh.etcd.url, { port: mesh.replica.port });
    await until(async () => (await injected()) === before, 'it knows them again', 10_000);
    const [left] = sidecars;
    assert.ok(left);
    await left.kill();
    await left.restart();
    await until(async () => (await left.metric('rulesets_accepted_total')) === 1, 'it has its ruleset');
    for (const { inbound } of sidecars) for (let i = 0; i < 50; i++) assert.equal((await send(inbound)).status, 200);
    assert.equal(await injected(), before);
  });

  it('begins anew with the next apply', async () => {
    await mesh.apply('few', { rules: [{ match: { limit: { fleet: 3 } }, fault }] });
    const [left] = sidecars;
    assert.ok(left);
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push((await send(left.inbound)).status);
    assert.deepEqual(statuses, [503, 503, 503, 200, 200, 200]);
    await until(async () => (await injected()) === 3, 'they are counted', 5000);
  });
});

describe('mesh: stopWhen', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  after(() => mesh.end());

  it('ends the whole policy on all proxies once they have hit so many together, whichever rule did', async () => {
    mesh = await Mesh.start(await Processes.begin());
    const sidecars = await Promise.all(['left', 'right'].map((name) => mesh.sidecar(name)));
    const posts = { match: { method: { exact: 'POST' } }, fault };
    await mesh.apply('stops', { rules: [posts, { fault }], stopWhen: [{ injected: 40 }] });
    let faulted = 0;
    const hitAll = async (): Promise<number[]> => {
      const answers = await Promise.all(
        sidecars.flatMap(({ inbound }) => ['GET', 'POST'].map((method) => send(inbound, { method }).then(({ status }) => status))),
      );
      faulted += answers.filter((status) => status === 503).length;
      return answers;
    };
    while (faulted < 20) await hitAll();
    const status = async () => (await mesh.replica.ask('GET', '/v1/policies/stops')).body.status as { phase: string; end: { why: string } };
    await until(async () => (await counted()).total.injected === faulted, 'all are counted', 5000);
    assert.equal((await status()).phase, 'active');
    while (faulted < 40) await hitAll();
    const reached = performance.now();
    await until(async () => (await hitAll()).every((answer) => answer === 200), 'none is faulted any more', 5000);
    assert.ok(performance.now() - reached < 1500, `${performance.now() - reached} ms late`);
    await until(async () => (await status()).phase === 'ended', 'it has ended');
    assert.match((await status()).end.why, /^\d{2,} requests were hit, and stopWhen says 40$/);
    // The other rule hit as well, and nothing begins anew.
    for (let i = 0; i < 5; i++) assert.deepEqual(await hitAll(), [200, 200, 200, 200]);
    await until(async () => (await counted()).total.injected === faulted, 'all are counted', 5000);
  });

  const counted = async (): Promise<PolicyCounts> =>
    (await mesh.replica.ask('GET', '/v1/policies/stops/counts')).body as unknown as PolicyCounts;
});
