import assert from 'node:assert/strict';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const rules = [{ fault: { abort: { httpStatus: 503 } } }];
const query = (more: object = {}) => ({ prometheus: 'up', above: 0.05, ...more });

/** What needs no Prometheus, since there is none. With one: test/prometheus. */
describe('API: stop conditions without a Prometheus', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  /** Knows of no Prometheus, and of one that isn't there. */
  let without: Replica;
  let unreachable: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    const [nobody = 0] = await freePorts(1);
    without = await Replica.start(processes, etcd.url);
    unreachable = await Replica.start(processes, etcd.url, { env: { HFI_PROMETHEUS_URL: `http://127.0.0.1:${nobody}` } });
  });
  after(() => processes.end());

  const status = async (name: string) =>
    (await without.ask('GET', `/v1/policies/${name}`)).body.status as { phase: string; end: { reason: string; why: string } | null };

  it('a query is refused where none is configured, with its field and what to set', async () => {
    const reply = await without.put('refused', { rules, stopWhen: [{ injected: 5 }, query()] });
    assert.equal(reply.status, 400);
    const errors = reply.body.errors as { path: string; message: string }[];
    assert.deepEqual(
      errors.map(({ path }) => path),
      ['spec.stopWhen[1].prometheus'],
    );
    assert.match(errors[0]?.message ?? '', /HFI_PROMETHEUS_URL/);
    assert.equal((await without.ask('GET', '/v1/policies/refused')).status, 404);
    const dry = await without.ask('PUT', '/v1/policies/refused?dryRun=true', {
      body: { metadata: { name: 'refused' }, spec: { rules, stopWhen: [query()] } },
    });
    assert.equal(dry.status, 400);
    assert.equal((await without.put('taken', { rules, stopWhen: [{ injected: 5 }] })).status, 201);
  });

  it('one that can not be reached is a warning, and stops the policy after the time, with the reason', async () => {
    const began = performance.now();
    const reply = await unreachable.put('stops', { rules, stopWhen: [query({ for: '2s' })] });
    assert.equal(reply.status, 201);
    assert.match(
      warning(reply),
      /^spec\.stopWhen\[0\]\.prometheus has no data now \(.*ECONNREFUSED.*\): the policy ends when it stays so for 2s\.$/,
    );
    await until(async () => (await status('stops')).end !== null, 'it has ended');
    const took = performance.now() - began;
    assert.ok(took >= 2000, `after ${took} ms`);
    const { end } = await status('stops');
    assert.equal(end?.reason, 'stopped');
    assert.match(end?.why ?? '', /^prometheus: up gave no data for 2s: Prometheus can not be asked \(ECONNREFUSED\)$/);
  });

  it('told to ignore it, the policy goes on', async () => {
    const reply = await unreachable.put('goes-on', { rules, stopWhen: [query({ for: '0s', onNoData: 'ignore' })] });
    assert.match(warning(reply), /: onNoData: ignore lets the policy go on\.$/);
    await unreachable.put('goes-not-on', { rules, stopWhen: [query({ for: '2s' })] });
    await until(async () => (await status('goes-not-on')).end !== null, 'another one has ended');
    assert.equal((await status('goes-on')).phase, 'active');
  });

  it('a policy with several conditions ends by whichever comes first', async () => {
    await unreachable.put('several', { rules, stopWhen: [{ injected: 5 }, query({ onNoData: 'ignore' }), query({ for: '0s' })] });
    await until(async () => (await status('several')).end !== null, 'it has ended');
    assert.match((await status('several')).end?.why ?? '', /^prometheus: up gave no data for 0s/);
  });

  it('a policy of earlier days stops also when no replica knows of a Prometheus any more', async () => {
    await unreachable.put('earlier', { rules, stopWhen: [query({ for: '8s' })] });
    await unreachable.kill();
    await until(async () => (await status('earlier')).end !== null, 'it has ended');
    assert.match((await status('earlier')).end?.why ?? '', /^prometheus: up gave no data for 8s: HFI_PROMETHEUS_URL is not set$/);
  });
});

function warning(reply: Reply): string {
  const [first = '', ...others] = (reply.body.warnings as string[]).filter((one) => one.startsWith('spec.stopWhen'));
  assert.deepEqual(others, []);
  return first;
}
