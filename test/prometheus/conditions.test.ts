import assert from 'node:assert/strict';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { MetricsPage, Prometheus } from '../support/prometheus.ts';

const rules = [{ fault: { abort: { httpStatus: 503 } } }];
const selector = { namespace: 'nobody' };

interface Standing {
  readonly state: string;
  readonly value: number | null;
  readonly problem: string | null;
  readonly evaluatedAt: string | null;
  readonly since: string | null;
  readonly replica: string | null;
}

describe('Prometheus: conditions', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;
  let prometheus: Prometheus;
  let page: MetricsPage;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    page = await MetricsPage.start();
    prometheus = await Prometheus.start(processes, [{ name: 'page', targets: [page.target] }]);
    replica = await Replica.start(processes, etcd.url, {
      replica: 'one',
      env: { HFI_PROMETHEUS_URL: `${prometheus.url}/`, HFI_PROMETHEUS_INTERVAL_MS: '200' },
    });
  });
  after(async () => {
    page.close();
    await processes.end();
  });

  /** Lets Prometheus know these values of `errors`, by service, and waits until it does. */
  async function errors(values: Readonly<Record<string, string>>): Promise<void> {
    page.text = Object.entries(values)
      .map(([service, value]) => `errors{service="${service}"} ${value}\n`)
      .join('');
    const wanted = Object.values(values).map(Number).sort();
    await until(async () => JSON.stringify((await prometheus.query('errors')).sort()) === JSON.stringify(wanted), 'Prometheus knows it');
  }

  const put = (name: string, ...stopWhen: object[]) => replica.put(name, { selector, rules, stopWhen } as Parameters<Replica['put']>[1]);
  const status = async (name: string) =>
    (await replica.ask('GET', `/v1/policies/${name}`)).body.status as { phase: string; end: { reason: string; why: string } | null };
  const standing = async (name: string): Promise<Standing> => {
    const { body, text } = await replica.ask('GET', `/v1/policies/${name}/stop-conditions`);
    const [first] = body.conditions as Standing[];
    assert.ok(first, text);
    return first;
  };
  const end = async (name: string): Promise<string> => {
    await until(async () => (await status(name)).end !== null, `${name} has ended`);
    return (await status(name)).end?.why ?? '';
  };
  /** It has been evaluated again since now, and goes on. */
  const goesOn = async (name: string): Promise<Standing> => {
    const now = Date.now();
    await until(async () => Date.parse((await standing(name)).evaluatedAt ?? '') > now + 500, `${name} is evaluated again`);
    assert.equal((await status(name)).phase, 'active');
    return standing(name);
  };

  it('of a vector any sample above the limit ends the policy, and the end is in events, audit and history', async () => {
    const leaving = new AbortController();
    const events = await fetch(`${replica.url}/v1/events`, {
      headers: { authorization: `Bearer ${TOKENS.viewer}` },
      signal: leaving.signal,
    });
    await errors({ a: '0.01', b: '0.02' });
    await put('above', { prometheus: 'errors', above: 0.05, for: '500ms' });
    const { state, value, problem, replica: by } = await goesOn('above');
    assert.deepEqual([state, value, problem, by], ['fine', 0.02, null, 'one']);
    await errors({ a: '0.01', b: '0.12' });
    assert.equal(await end('above'), 'prometheus: errors was 0.12, above 0.05 for 500ms');
    const why = 'prometheus: errors was 0.12, above 0.05 for 500ms';
    let told = '';
    for await (const bytes of events.body ?? []) {
      told += Buffer.from(bytes as Uint8Array).toString();
      if (told.includes('has ended')) break;
    }
    leaving.abort();
    assert.ok(told.includes(`policy/above has ended: stopped, ${why}`), told);
    const audit = (await replica.ask('GET', '/v1/audit?policy=above')).body.items as { action: string; end?: object }[];
    assert.deepEqual(audit.find(({ action }) => action === 'end')?.end, { reason: 'stopped', why });
    const history = (await replica.ask('GET', '/v1/history?policy=above')).body.items as {
      status: { end: { reason: string; why: string } };
    }[];
    assert.deepEqual([history.length, history[0]?.status.end.reason, history[0]?.status.end.why], [1, 'stopped', why]);
  });

  it('a scalar ends it too, and below is the other side', async () => {
    await errors({ a: '3' });
    await put('below', { prometheus: 'scalar(sum(errors))', below: 2, for: '0s', onNoData: 'ignore' });
    assert.equal((await goesOn('below')).value, 3);
    await errors({ a: '1' });
    assert.equal(await end('below'), 'prometheus: scalar(sum(errors)) was 1, below 2 for 0s');
  });

  it('a condition that ceases to hold begins anew', async () => {
    await errors({ a: '1' });
    await put('begins-anew', { prometheus: 'errors', above: 0.5, for: '3s' });
    await until(async () => (await standing('begins-anew')).since !== null, 'it holds');
    const first = (await standing('begins-anew')).since ?? '';
    await errors({ a: '0' });
    await until(async () => (await standing('begins-anew')).since === null, 'it holds no more');
    await errors({ a: '1' });
    await until(async () => (await standing('begins-anew')).since !== null, 'it holds again');
    const again = (await standing('begins-anew')).since ?? '';
    assert.ok(again > first);
    await end('begins-anew');
    assert.ok(Date.now() >= Date.parse(again) + 3000);
  });

  for (const [what, query, why] of [
    ['no sample', 'errors{service="none"}', 'the answer has no sample'],
    ['NaN', 'errors / 0 * 0', 'the answer has no sample but NaN'],
    ['an error', 'errors * on() group_left() up{job="page"} * on() (errors or up)', 'Prometheus answered 422'],
  ] as const) {
    it(`${what} ends it after the time, unless that is to be ignored`, async () => {
      await errors({ a: '0', b: '0' });
      const [name] = [`nothing-${what.toLowerCase().replace(/\W/g, '-')}`];
      const written = await put(name, { prometheus: query, above: 0.5, for: '1s' });
      assert.equal(written.status, 201, written.text);
      await put(`${name}-ignored`, { prometheus: query, above: 0.5, for: '0s', onNoData: 'ignore' });
      assert.match(await end(name), new RegExp(`^prometheus: .* gave no data for 1s: ${why}`));
      const { state, problem, since } = await goesOn(`${name}-ignored`);
      assert.deepEqual([state, since], ['no-data', null]);
      assert.match(problem ?? '', new RegExp(`^${why}`));
    });
  }

  for (const [what, query, message] of [
    ['a query that it can not parse', 'sum(errors', /is refused by Prometheus: .*parse error/],
    ['a range', 'errors[1m]', /must give an instant vector or a scalar/],
    ['a text', '"errors"', /must give an instant vector or a scalar/],
  ] as const) {
    it(`${what} is refused at apply, with what Prometheus says`, async () => {
      const reply = await put('bad', { injected: 5 }, { prometheus: query, above: 0.5 });
      assert.equal(reply.status, 400);
      const [error, ...others] = reply.body.errors as { path: string; message: string }[];
      assert.deepEqual([error?.path, others], ['spec.stopWhen[1].prometheus', []]);
      assert.match(error?.message ?? '', message);
      assert.equal((await replica.ask('GET', '/v1/policies/bad')).status, 404);
    });
  }

  it('a Prometheus that is restarted within the time ends nothing', async () => {
    await errors({ a: '0' });
    await put('restarted', { prometheus: 'errors', above: 0.5 });
    await goesOn('restarted');
    await prometheus.kill();
    await until(async () => (await standing('restarted')).state === 'no-data', 'it is noticed');
    await prometheus.start();
    await until(async () => (await standing('restarted')).state === 'fine', 'it answers again');
    assert.equal((await goesOn('restarted')).since, null);
  });

  it('one that holds already is a warning', async () => {
    await errors({ a: '1' });
    const reply = await put('holds', { prometheus: 'errors', above: 0.5, for: '1h' });
    assert.deepEqual(
      (reply.body.warnings as string[]).filter((one) => one.startsWith('spec.stopWhen')),
      ['spec.stopWhen[0].prometheus is 1 now, above 0.5: the policy ends when it stays so for 1h.'],
    );
    await goesOn('holds');
  });

  it('a policy is not evaluated before its window opens, nor after its end', async () => {
    await errors({ a: '1' });
    const start = new Date(Date.now() + 3000).toISOString();
    const stopWhen = [{ prometheus: 'count(errors{service="a"} > bool 0)', above: 0, for: '0s' }];
    await replica.put('later', { selector, rules: rules.map((rule) => ({ ...rule, match: { window: { start } } })), stopWhen });
    await put('meanwhile', { prometheus: 'errors', above: 0.5, for: '1s' });
    await end('meanwhile');
    assert.equal((await standing('later')).state, 'not-evaluated');
    assert.equal((await status('later')).phase, 'scheduled');
    await end('later');
    assert.ok(Date.now() >= Date.parse(start));
    for (const name of ['holds', 'below']) await replica.ask('DELETE', `/v1/policies/${name}`);
    const { items } = (await replica.ask('GET', '/v1/policies?limit=100')).body as { items: { metadata: { name: string } }[] };
    for (const { metadata } of items) await replica.ask('DELETE', `/v1/policies/${metadata.name}`);
    const asked = async (): Promise<number> => {
      const metrics = await (await fetch(`${prometheus.url}/metrics`)).text();
      return Number(/^prometheus_http_requests_total\{code="200",handler="\/api\/v1\/query"\} (\d+)/m.exec(metrics)?.[1]);
    };
    const began = Date.now();
    const before = await asked();
    assert.ok(before > 10);
    await until(() => Date.now() > began + 1000, 'five evaluations would have been');
    assert.ok((await asked()) - before <= 1, 'Prometheus is asked for policies that are gone');
  });

  it('a policy whose owner renews its lease is evaluated for as long as it goes on', async () => {
    await errors({ a: '0' });
    await replica.put('leased', { selector, rules, lease: '5s', stopWhen: [{ prometheus: 'errors', above: 0.5, for: '1s' }] });
    const began = Date.now();
    while (Date.now() < began + 6000) {
      assert.equal((await replica.ask('POST', '/v1/policies/leased/renew')).status, 200);
      await goesOn('leased');
    }
    await errors({ a: '1' });
    assert.match(await end('leased'), /^prometheus: errors was 1, above 0\.5 for 1s$/);
  });
});
