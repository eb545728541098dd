import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const forDemo = { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] };
const etagOf = (reply: Reply): string => reply.headers.get('etag') ?? '';

interface HaltShown {
  readonly by: { readonly name: string };
  readonly reason: string;
  readonly kept: boolean;
}

describe('API: halt while etcd is away', function () {
  this.timeout(90_000);
  let processes: Processes;
  let etcd: Etcd;
  let line: TcpProxy;
  /** Reaches etcd through a line that can be broken. */
  let far: Replica;
  let near: Replica;

  beforeEach(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    line = await TcpProxy.start(etcd.port);
    [far, near] = await Promise.all([
      Replica.start(processes, `http://127.0.0.1:${line.port}`, { replica: 'far', env: { HFI_STALE_MS: '1000' } }),
      Replica.start(processes, etcd.url, { replica: 'near', env: { HFI_STALE_MS: '1000' } }),
    ]);
    await near.put('p', forDemo);
    for (const replica of [far, near]) {
      await until(async () => (await replica.ask('GET', '/v1/policies/p')).status === 200, 'there');
      await replica.poll({ name: `of-${replica.port}` });
    }
    for (const replica of [far, near]) {
      const names = async () => ((await replica.ask('GET', '/v1/proxies')).body.items as { name: string }[]).map(({ name }) => name);
      await until(async () => (await names()).length === 2, 'it knows the other');
    }
  });
  afterEach(async () => {
    line.close();
    await processes.end();
  });

  const halt = (replica: Replica, reason = '') => replica.ask('POST', '/v1/halt', { body: { reason }, role: 'editor' });
  const haltsAt = async (replica: Replica): Promise<HaltShown[]> => (await replica.ask('GET', '/v1/halt')).body.halts as HaltShown[];
  const isKept = async (replica: Replica): Promise<boolean> => (await haltsAt(replica))[0]?.kept === true;
  const haltEntries = async (replica: Replica): Promise<unknown[]> =>
    ((await replica.ask('GET', '/v1/audit?limit=100')).body.items as { action: string }[]).filter(({ action }) => action === 'halt');

  /** Polls that wait at both replicas, and the version that they have. */
  async function holdPolls(): Promise<{ has: string; held: Promise<Reply>[] }> {
    let has = '';
    await until(async () => {
      const [one, two] = await Promise.all([far, near].map((replica) => replica.poll({ name: `of-${replica.port}` })));
      has = etagOf(one as Reply);
      return has !== '' && has === etagOf(two as Reply);
    }, 'both have the same policies');
    return { has, held: [far, near].map((replica) => replica.poll({ name: `of-${replica.port}`, has, wait: 20 })) };
  }

  it('halts the proxies of both replicas at once, says that it is not kept, and sticks when etcd is back', async () => {
    const { has, held } = await holdPolls();
    await etcd.kill();
    const begun = performance.now();
    const reply = await halt(near, 'etcd is down too');
    assert.deepEqual([reply.status, reply.body.result, reply.body.resourceVersion, reply.body.incomplete], [202, 'halted', null, []]);
    assert.equal((reply.body.halt as HaltShown).kept, false);
    for (const answer of await Promise.all(held)) {
      assert.equal(answer.status, 200);
      assert.notEqual(etagOf(answer), has);
    }
    assert.ok(performance.now() - begun < 2500);
    for (const replica of [far, near]) {
      const [shown] = await haltsAt(replica);
      assert.deepEqual([shown?.by.name, shown?.reason, shown?.kept], ['the-editor', 'etcd is down too', false]);
      assert.match((await replica.ask('GET', '/metrics', { role: 'none' })).text, /^hfi_halts_unkept 1$/m);
    }
    const again = await halt(far, 'another');
    assert.deepEqual([again.status, again.body.result, (again.body.halt as HaltShown).reason], [202, 'unchanged', 'etcd is down too']);
    assert.equal((await near.ask('DELETE', '/v1/halt')).status, 503, 'nobody can resume without etcd');
    await etcd.start();
    const back = performance.now();
    await until(() => isKept(near), 'it is kept');
    assert.ok(performance.now() - back < 2000, `${performance.now() - back} ms`);
    await until(() => isKept(far), 'the other sees it');
    const late = await Replica.start(processes, etcd.url, { replica: 'late' });
    assert.deepEqual(await haltsAt(late), await haltsAt(near));
    assert.equal((await late.put('q', forDemo)).status, 423);
    assert.equal((await haltEntries(late)).length, 1);
    assert.equal((await late.ask('DELETE', '/v1/halt')).body.result, 'resumed');
    // Time for whoever would keep it again.
    await sleep(1500);
    for (const replica of [far, near, late]) assert.deepEqual(await haltsAt(replica), []);
    assert.equal((await near.put('q', forDemo)).status, 201);
  });

  it('takes an issued token that it remembers, at once, and shows it how far it is; nothing else does', async () => {
    const { body } = await near.ask('POST', '/v1/tokens', { body: { name: 'on-call', role: 'editor' } });
    const headers = { authorization: `Bearer ${body.token}` };
    const asked = (method: string, path: string, more: object = {}) => near.ask(method, path, { role: 'none', headers, ...more });
    await until(async () => (await asked('GET', '/v1/status')).status === 200, 'the token is known');
    await etcd.kill();
    await until(async () => {
      const refused = await asked('PUT', '/v1/policies/q', { body: { metadata: { name: 'q' }, spec: forDemo } });
      assert.equal(refused.status, 503, refused.text);
      return /^Your token can not be checked: .*\. Nothing was done\.$/.test(String(refused.body.detail));
    }, 'the copy of the tokens is too old for a change');
    const begun = performance.now();
    const reply = await asked('POST', '/v1/halt', { body: { reason: 'by the one on call' } });
    assert.deepEqual([reply.status, reply.body.result, (reply.body.halt as HaltShown).by.name], [202, 'halted', 'on-call'], reply.text);
    assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms`);
    assert.equal((await asked('GET', '/v1/rollout?halted=true&revision=0')).status, 200);
    const unknown = await near.ask('POST', '/v1/halt', { role: 'none', headers: { authorization: 'Bearer hfi_nobody_0123456789abcdef' } });
    assert.ok([401, 503].includes(unknown.status), unknown.text);
  });

  it('after a restart of a replica says until when proxies may go on that it has not heard of', async () => {
    await near.kill('SIGKILL');
    await far.kill('SIGKILL');
    const begun = Date.now();
    near = await Replica.start(processes, etcd.url, { replica: 'near' });
    await near.poll({ name: 'came-back' });
    const { body } = await halt(near);
    const rollout = async (namespace = '') =>
      (await near.ask('GET', `/v1/rollout?halted=true&revision=${body.resourceVersion}${namespace}`)).body as {
        done: boolean;
        unheardUntil: string | null;
      };
    const { done, unheardUntil } = await rollout();
    assert.equal(done, false);
    const left = Date.parse(unheardUntil ?? '') - begun;
    assert.ok(left > 59_000 && left < 70_000, `${left} ms`);
    assert.equal((await rollout('&namespace=elsewhere')).unheardUntil, null, 'no policy names it');
  });

  it('sticks also when the replica that was asked dies before etcd is back', async () => {
    await etcd.kill();
    assert.equal((await halt(far, 'asked at far')).status, 202);
    await far.kill();
    await etcd.start();
    await until(() => isKept(near), 'the other keeps it', 5000);
    assert.deepEqual(
      (await haltsAt(near)).map(({ reason }) => reason),
      ['asked at far'],
    );
    assert.equal((await haltEntries(near)).length, 1);
  });

  it('sticks also when there is no other replica', async () => {
    await far.kill();
    await etcd.kill();
    assert.equal((await halt(near, 'alone')).status, 202);
    await etcd.start();
    await until(() => isKept(near), 'it keeps it itself', 5000);
  });

  it('names the replica that could not be told', async () => {
    await etcd.kill();
    far.child.kill('SIGSTOP');
    const reply = await halt(near);
    far.child.kill('SIGCONT');
    assert.deepEqual([reply.status, reply.body.incomplete], [202, ['far']]);
  });

  it('halts at a replica that is cut off from etcd, by the one that is not, which answers that it is kept', async () => {
    const { has, held } = await holdPolls();
    line.stall('both');
    const reply = await halt(near, 'far is cut off');
    assert.equal(reply.status, 200);
    const answers = await Promise.all(held);
    for (const answer of answers) assert.notEqual(etagOf(answer), has);
    assert.deepEqual(
      (await haltsAt(far)).map(({ reason, kept }) => [reason, kept]),
      [['far is cut off', false]],
    );
    // Its tries come too late: the halt was kept and is lifted already.
    assert.equal((await near.ask('DELETE', '/v1/halt')).body.result, 'resumed');
    line.pass();
    await until(async () => (await haltsAt(far)).length === 0, 'far goes on too', 8000);
    await sleep(1000);
    for (const replica of [far, near]) assert.deepEqual(await haltsAt(replica), []);
    assert.equal((await haltEntries(near)).length, 1);
    await until(async () => etagOf(await far.poll({ name: `of-${far.port}` })) === has, 'the version before', 5000);
  });

  it('a replica whose copy is old serves the halt, and nothing else', async () => {
    const has = etagOf(await far.poll({ name: 'stale' }));
    line.stall('both');
    await until(async () => (await far.poll({ name: 'stale', has })).status === 503, 'its copy is old', 10_000);
    await halt(near);
    let answer: Reply | undefined;
    await until(async () => {
      answer = await far.poll({ name: 'stale', has });
      return answer.status === 200;
    }, 'it is halted');
    const halted = etagOf(answer as Reply);
    assert.notEqual(halted, has);
    const begun = performance.now();
    const ahead = { 'x-hfi-revision': '999999999' };
    assert.equal((await far.poll({ name: 'ahead', has, headers: ahead })).status, 200);
    assert.ok(performance.now() - begun < 500, 'nobody waits for a halt, whatever was heard elsewhere');
    assert.equal((await far.poll({ name: 'stale', has: halted, wait: 1 })).status, 304);
    const rollout = await near.ask('GET', '/v1/rollout?revision=0&halted=true', { headers: { prefer: 'wait=1' } });
    const of = (rollout.body.proxies as { name: string; acknowledged: boolean }[]).find(({ name }) => name === 'stale');
    assert.equal(of?.acknowledged, true, rollout.text);
  });

  it('holds over a restart of all replicas, and for one that was halted while etcd had the halt but was away', async () => {
    assert.equal((await halt(near, 'stays')).status, 200);
    await until(() => isKept(far), 'far knows');
    await etcd.kill();
    assert.deepEqual([(await halt(far)).status, (await halt(far)).body.result], [200, 'unchanged']);
    await Promise.all([near.kill(), far.kill()]);
    await etcd.start();
    const fresh = await Replica.start(processes, etcd.url, { replica: 'fresh' });
    assert.deepEqual(
      (await haltsAt(fresh)).map(({ reason }) => reason),
      ['stays'],
    );
    assert.equal((await fresh.put('q', forDemo)).status, 423);
  });

  it('is kept anew when etcd lost it, as after a restore of an older state', async () => {
    assert.equal((await halt(near, 'older than the backup')).status, 200);
    await until(() => isKept(far), 'far knows');
    await etcd.lose();
    await etcd.start();
    await until(async () => (await near.ask('GET', '/readyz', { role: 'none' })).status === 200, 'ready again');
    await until(() => isKept(near), 'kept again', 5000);
    const fresh = await Replica.start(processes, etcd.url, { replica: 'fresh' });
    assert.deepEqual(
      (await haltsAt(fresh)).map(({ reason }) => reason),
      ['older than the backup'],
    );
    assert.equal((await near.ask('DELETE', '/v1/halt')).body.result, 'resumed');
    await sleep(1500);
    for (const replica of [far, near, fresh]) assert.deepEqual(await haltsAt(replica), []);
  });

  it('is never lost between etcd and a replica that is asked while etcd goes and comes', async () => {
    for (let round = 0; round < 3; round++) {
      const asked = sleep(round * 20).then(() => halt(near, `round ${round}`));
      await etcd.kill();
      const reply = await asked;
      assert.ok([200, 202].includes(reply.status), reply.text);
      await etcd.start();
      await until(() => isKept(near), 'kept', 8000);
      await until(() => isKept(far), 'far knows', 8000);
      assert.equal((await haltsAt(near))[0]?.reason, `round ${round}`);
      assert.equal((await near.ask('DELETE', '/v1/halt')).body.result, 'resumed');
      for (const replica of [near, far]) await until(async () => (await haltsAt(replica)).length === 0, 'resumed', 8000);
    }
    await sleep(1000);
    for (const replica of [near, far]) assert.deepEqual(await haltsAt(replica), []);
    assert.equal((await haltEntries(near)).length, 3);
  });
});
