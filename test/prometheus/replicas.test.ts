import assert from 'node:assert/strict';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { Prometheus } from '../support/prometheus.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const rules = [{ fault: { abort: { httpStatus: 503 } } }];
const selector = { namespace: 'nobody' };
/** What docs/stop-conditions.md states: until another replica goes on. */
const FAILOVER_MS = 6000;

interface Standing {
  readonly state: string;
  readonly value: number | null;
  readonly evaluatedAt: string | null;
  readonly since: string | null;
  readonly replica: string | null;
}

describe('Prometheus: one replica evaluates', function () {
  this.timeout(120_000);
  let processes: Processes;
  let etcd: Etcd;
  /** The way of all replicas to etcd. */
  let line: TcpProxy;
  let prometheus: Prometheus;
  let replicas: Replica[];

  const start = (name: string): Promise<Replica> =>
    Replica.start(processes, `http://127.0.0.1:${line.port}`, { replica: name, env: { HFI_PROMETHEUS_URL: prometheus.url } });

  beforeEach(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    line = await TcpProxy.start(etcd.port);
    prometheus = await Prometheus.start(processes, []);
    replicas = [await start('one'), await start('two'), await start('three')];
    await until(async () => {
      const { incomplete, items } = (await at(0).ask('GET', '/v1/proxies')).body as { incomplete: string[]; items: { name: string }[] };
      await Promise.all(replicas.map((replica, i) => replica.poll({ name: `proxy-${i}` })));
      return incomplete.length === 0 && items.length === 3;
    }, 'the replicas know each other');
  });
  afterEach(async () => {
    line.close();
    await processes.end();
  });

  const at = (i: number): Replica => {
    const replica = replicas[i];
    assert.ok(replica);
    return replica;
  };
  const names = ['one', 'two', 'three'];

  async function standing(of: Replica, policy: string, scope = 'all'): Promise<Standing> {
    const { body, text } = await of.ask('GET', `/v1/policies/${policy}/stop-conditions?scope=${scope}`);
    const [first] = (body.conditions ?? []) as Standing[];
    assert.ok(first, text);
    return first;
  }

  /** The place of the replica that evaluates. */
  async function evaluator(policy: string): Promise<number> {
    let found = -1;
    await until(async () => {
      const { replica, evaluatedAt } = await standing(at(0), policy);
      found = evaluatedAt === null ? -1 : names.indexOf(replica ?? '');
      return found >= 0;
    }, 'one evaluates');
    return found;
  }

  const end = async (of: Replica, name: string) => {
    type Ending = { at: string; reason: string; why: string; by: { name: string } };
    const read = async () => ((await of.ask('GET', `/v1/policies/${name}`)).body.status as { end: Ending | null }).end;
    await until(async () => (await read()) !== null, `${name} has ended`);
    const found = await read();
    assert.ok(found);
    return found;
  };

  /** Asked queries so far, as Prometheus counts them. */
  const asked = async (): Promise<number> => {
    const metrics = await (await fetch(`${prometheus.url}/metrics`)).text();
    return Number(/^prometheus_http_requests_total\{code="200",handler="\/api\/v1\/query"\} (\d+)/m.exec(metrics)?.[1]);
  };

  it('and only one: three replicas ask no more than one does, and each tells what it knows', async () => {
    await at(0).put('alone', { selector, rules, stopWhen: [{ prometheus: 'vector(1)', above: 5 }] });
    const place = await evaluator('alone');
    const [began, before] = [performance.now(), await asked()];
    await until(() => performance.now() > began + 4000, 'a while');
    const more = (await asked()) - before;
    assert.ok(more >= 3 && more <= 5, `${more} queries in 4 s`);
    for (const i of names.keys()) {
      assert.equal((await standing(at(i), 'alone')).value, 1, `asked of ${names[i]}`);
      assert.equal((await standing(at(i), 'alone', 'local')).state, i === place ? 'fine' : 'not-evaluated');
      const { text } = await at(i).ask('GET', '/metrics', { role: 'none' });
      const evaluations = Number(/^hfi_stop_evaluations_total\{result="fine"\} (\d+)/m.exec(text)?.[1] ?? 0);
      assert.match(text, i === place ? /^hfi_stop_evaluating 1$/m : /^hfi_stop_evaluating 0$/m);
      assert.ok(i === place ? evaluations >= 3 : evaluations === 0, `${names[i]} evaluated ${evaluations} times`);
    }
  });

  it('when it is killed another one goes on, and the time that it held counts', async () => {
    await at(0).put('killed', { selector, rules, stopWhen: [{ prometheus: 'vector(1)', above: 0.5, for: '12s' }] });
    const first = await evaluator('killed');
    const { since } = await standing(at(first), 'killed');
    assert.ok(since);
    await until(() => Date.now() > Date.parse(since) + 2000, 'it has held for a while');
    await at(first).kill();
    const killed = Date.now();
    const left = names.findIndex((_, i) => i !== first);
    const before = new Date(killed).toISOString();
    await until(async () => ((await standing(at(left), 'killed')).evaluatedAt ?? '') > before, 'another one goes on', FAILOVER_MS);
    process.stdout.write(`      ${Date.now() - killed} ms from the kill to the next evaluation\n`);
    const next = await standing(at(left), 'killed');
    assert.notEqual(next.replica, names[first]);
    assert.ok(Math.abs(Date.parse(next.since ?? '') - Date.parse(since)) < 100, `since ${next.since}, not ${since}`);
    const { why, at: ended } = await end(at(left), 'killed');
    assert.equal(why, 'prometheus: vector(1) was 1, above 0.5 for 12s');
    const late = Date.parse(ended) - Date.parse(since) - 12_000;
    assert.ok(late >= 0 && late < 250, `${late} ms after its time`);
  });

  it('when it is told to end another one goes on at once', async () => {
    await at(0).put('told', { selector, rules, stopWhen: [{ prometheus: 'vector(1)', above: 5 }] });
    const first = await evaluator('told');
    await at(first).kill('SIGTERM');
    const before = new Date().toISOString();
    const left = names.findIndex((_, i) => i !== first);
    await until(async () => ((await standing(at(left), 'told')).evaluatedAt ?? '') > before, 'another one goes on', 2500);
  });

  it('one that was frozen and thaws gives way, and the end is written once', async () => {
    await at(0).put('frozen', { selector, rules, stopWhen: [{ prometheus: 'vector(1)', above: 0.5, for: '14s' }] });
    const first = await evaluator('frozen');
    const left = names.findIndex((_, i) => i !== first);
    at(first).child.kill('SIGSTOP');
    const before = new Date().toISOString();
    await until(async () => ((await standing(at(left), 'frozen')).evaluatedAt ?? '') > before, 'another one goes on', FAILOVER_MS + 2000);
    at(first).child.kill('SIGCONT');
    await until(async () => (await standing(at(first), 'frozen', 'local')).state === 'not-evaluated', 'it gives way');
    assert.equal((await standing(at(left), 'frozen')).state, 'holds', 'that was not because the policy has ended');
    await end(at(left), 'frozen');
    const audit = (await at(left).ask('GET', '/v1/audit?policy=frozen')).body.items as { action: string }[];
    assert.deepEqual(
      audit.map(({ action }) => action),
      ['end', 'create'],
    );
  });

  it('without etcd each one evaluates for its own proxies, and the end is written when etcd is back', async () => {
    const name = 'no-etcd';
    const holdsFrom = Date.now() + 6000;
    await at(0).put(name, {
      selector: { namespace: 'demo' },
      rules,
      stopWhen: [{ prometheus: 'time()', above: holdsFrom / 1000, for: '1s' }],
    });
    await evaluator(name);
    const served = async (i: number): Promise<boolean> => {
      const { items } = (await at(i).ask('GET', '/v1/proxies?scope=local')).body as { items: { selectedBy: string[] }[] };
      return items.some(({ selectedBy }) => selectedBy.includes(name));
    };
    await Promise.all(replicas.map((replica, i) => replica.poll({ name: `proxy-${i}` })));
    assert.deepEqual(await Promise.all([0, 1, 2].map(served)), [true, true, true]);
    line.cut();
    await until(async () => (await Promise.all([0, 1, 2].map(served))).every((one) => !one), 'no replica serves it', 12_000);
    assert.ok(Date.now() >= holdsFrom);
    line.pass();
    const { why } = await end(at(1), name);
    assert.match(why, /^prometheus: time\(\) was \S+, above \S+ for 1s$/);
    const audit = (await at(1).ask('GET', `/v1/audit?policy=${name}`)).body.items as { action: string }[];
    assert.equal(audit.filter(({ action }) => action === 'end').length, 1);
  });
});
