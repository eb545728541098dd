import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { report } from '../support/report.ts';

const abort = { abort: { httpStatus: 503 } };
const RAILS = {
  requireEnd: true,
  maxPercentage: 50,
  forbiddenPaths: ['/healthz'],
  namespaces: {
    shop: {},
    pay: { maxPercentage: null, requireEnd: false, maxProxies: 2 },
    each: { maxPercentage: null, requireEnd: false, oneProxyOfEachService: true },
    free: { maxPercentage: null, requireEnd: false },
  },
};

interface Wrong {
  readonly path: string;
  readonly guardrail: string;
  readonly value: unknown;
  readonly limit: unknown;
}

describe('API: guardrails', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;
  let two: Replica;

  const file = (name: string, rails: object): string => {
    const path = join(processes.folder, name);
    writeFileSync(path, JSON.stringify(rails));
    return path;
  };

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    const env = { HFI_GUARDRAILS_FILE: file('guardrails.json', RAILS) };
    [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one', env }),
      Replica.start(processes, etcd.url, { replica: 'two', env }),
    ]);
    await until(async () => {
      await two.poll({ name: 'probe', namespace: 'probe' });
      return ((await one.ask('GET', '/v1/proxies')).body.items as unknown[]).length > 0;
    }, 'the replicas know each other');
  });
  after(() => processes.end());

  const spec = (namespace: string, fault: object = {}) => ({ selector: { namespace }, rules: [{ fault: { ...abort, ...fault } }] });
  const errorsOf = (reply: Reply) =>
    (reply.body.errors as Wrong[]).map(({ path, guardrail, value, limit }) => [path, guardrail, value, limit]);
  const newestAudit = async () => JSON.stringify((await one.ask('GET', '/v1/audit?limit=1')).body.items);
  const emptyVersion = async () => (await one.poll({ name: 'of-nowhere', namespace: 'free' })).headers.get('etag');
  const versionOf = async (name: string, namespace: string, replica = one, labels = 'app=api') =>
    (await replica.poll({ name, namespace, labels })).headers.get('etag');

  it('refuse a policy with the field, the guardrail, the value and the limit, however it is sent, and write nothing', async () => {
    const wrong = spec('shop', { percentage: 60, duration_seconds: 60 });
    const before = await newestAudit();
    const body = { metadata: { name: 'wrong' }, spec: wrong };
    for (const reply of [
      await one.put('wrong', wrong),
      await one.ask('POST', '/v1/policies', { body }),
      await one.ask('PUT', '/v1/policies/wrong?dryRun=true', { body }),
      await one.ask('POST', '/v1/policies?dryRun=true', { body }),
    ]) {
      assert.deepEqual([reply.status, reply.body.code], [422, 'guardrail'], reply.text);
      assert.equal(reply.body.detail, 'spec.rules[0].fault.percentage is 60; the guardrail maxPercentage allows 50.');
      assert.deepEqual(errorsOf(reply), [['spec.rules[0].fault.percentage', 'maxPercentage', 60, 50]]);
    }
    assert.equal((await one.ask('GET', '/v1/policies/wrong')).status, 404);
    assert.equal(await newestAudit(), before);
  });

  it('leave a policy as it was when its replacement goes beyond', async () => {
    const fine = await one.put('stays', spec('shop', { percentage: 50, duration_seconds: 60 }));
    assert.equal(fine.status, 201, fine.text);
    assert.equal((await one.put('stays', spec('shop', { percentage: 50 }))).status, 422);
    assert.equal((await one.ask('GET', '/v1/policies/stays')).headers.get('etag'), fine.headers.get('etag'));
    assert.equal((await one.ask('DELETE', '/v1/policies/stays')).status, 200, 'what is too much may always be deleted');
  });

  it('refuse other namespaces, and any', async () => {
    for (const selector of [{ namespace: 'else' }, {}, { namespace: '*' }]) {
      const reply = await one.put('elsewhere', { selector, rules: [{ fault: abort }] });
      assert.deepEqual(errorsOf(reply)[0]?.slice(0, 2), ['spec.selector.namespace', 'namespaces'], reply.text);
    }
  });

  it('tell everybody who may read what is in force, and who is for one namespace nothing of others', async () => {
    const all = (await one.ask('GET', '/v1/guardrails', { role: 'viewer' })).body as {
      configured: boolean;
      guardrails: Record<string, unknown>;
    };
    assert.equal(all.configured, true);
    assert.deepEqual(all.guardrails, { ...RAILS, forbiddenPaths: [{ exact: '/healthz' }] });
    const { token } = (await one.ask('POST', '/v1/tokens', { body: { name: 'of-pay', role: 'viewer', namespaces: ['pay'] } })).body;
    const headers = { authorization: `Bearer ${token}` };
    await until(async () => (await one.ask('GET', '/v1/status', { role: 'none', headers })).status === 200, 'the token is known');
    const seen = (await one.ask('GET', '/v1/guardrails', { role: 'none', headers })).body.guardrails as { namespaces: object };
    assert.deepEqual(seen.namespaces, { pay: RAILS.namespaces.pay });
    assert.equal((await one.ask('GET', '/v1/guardrails', { role: 'proxy' })).status, 403);
  });

  it('change what a proxy gets: the forbidden path is in its ruleset', async () => {
    await one.put('for-all', spec('free'));
    await until(async () => (await one.poll({ name: 'free-1', namespace: 'free' })).text.includes('/healthz'), 'the path is in it');
    await one.ask('DELETE', '/v1/policies/for-all');
  });

  describe('for the number of proxies', () => {
    afterEach(async () => {
      for (const name of ['capped', 'each']) await one.ask('DELETE', `/v1/policies/${name}`);
    });

    it('a policy is for those that were connected at the apply, at every replica, and for none that came later', async () => {
      const empty = await emptyVersion();
      await versionOf('pay-1', 'pay', one);
      await versionOf('pay-2', 'pay', two);
      const applied = await one.put('capped', spec('pay'));
      assert.equal(applied.status, 201, applied.text);
      assert.deepEqual(applied.body.proxies, ['pay-1', 'pay-2']);
      assert.match(String(applied.body.warnings), /for 2 of 2 connected proxies/);
      assert.deepEqual((applied.body.policy as { status: { chosen: unknown } }).status.chosen, ['pay-1', 'pay-2']);
      for (const replica of [one, two]) {
        await until(async () => (await versionOf('pay-1', 'pay', replica)) !== empty, 'the first one has it');
        await until(async () => (await versionOf('pay-2', 'pay', replica)) !== empty, 'the second one has it');
        assert.equal(await versionOf('pay-3', 'pay', replica), empty, 'a third of the same workload has not');
      }
      const rollout = (await one.ask('GET', `/v1/rollout?revision=1&policy=capped`)).body as { proxies: { name: string }[] };
      assert.deepEqual(
        rollout.proxies.map(({ name }) => name),
        ['pay-1', 'pay-2'],
      );
    });

    it('one more than may be is refused with how many there are, at either replica', async () => {
      for (const name of ['pay-1', 'pay-2', 'pay-3']) await versionOf(name, 'pay', name === 'pay-2' ? two : one);
      for (const replica of [one, two]) {
        for (const query of ['', '?dryRun=true']) {
          const body = { metadata: { name: 'capped' }, spec: spec('pay') };
          const reply = await replica.ask('PUT', `/v1/policies/capped${query}`, { body });
          assert.deepEqual(errorsOf(reply), [['spec.selector', 'maxProxies', 3, 2]], reply.text);
        }
      }
      const narrow = await one.put('capped', { selector: { namespace: 'pay', service: 'other' }, rules: [{ fault: abort }] });
      assert.equal(narrow.status, 201, narrow.text);
      assert.deepEqual((narrow.body.policy as { status: { chosen: unknown } }).status.chosen, []);
    });

    it('one proxy of each service is chosen, the same whoever is asked; a held poll of it is answered, and no other', async () => {
      const proxies = ['each-a1', 'each-a2', 'each-b1', 'each-b2'];
      const labels = (name: string) => `app=${name.slice(0, -1)}`;
      for (const name of proxies) await versionOf(name, 'each', name.endsWith('1') ? one : two, labels(name));
      const empty = (await emptyVersion()) ?? '';
      const held = Object.fromEntries(
        proxies.map((name) => [name, one.poll({ name, namespace: 'each', labels: labels(name), has: empty, wait: 2 })]),
      );
      await until(async () => /hfi_polls_waiting 4/.test((await one.ask('GET', '/metrics', { role: 'none' })).text), 'they wait');
      const dry = await two.ask('PUT', '/v1/policies/each?dryRun=true', { body: { metadata: { name: 'each' }, spec: spec('each') } });
      assert.deepEqual(dry.body.proxies, ['each-a1', 'each-b1'], dry.text);
      const applied = await one.put('each', spec('each'));
      assert.deepEqual(applied.body.proxies, ['each-a1', 'each-b1']);
      const statuses = await Promise.all(proxies.map(async (name) => [name, (await held[name])?.status]));
      assert.deepEqual(statuses, [
        ['each-a1', 200],
        ['each-a2', 304],
        ['each-b1', 200],
        ['each-b2', 304],
      ]);
      const chosen = (await versionOf('each-a1', 'each', one, 'app=each-a')) ?? '';
      const waiting = one.poll({ name: 'each-a1', namespace: 'each', labels: 'app=each-a', has: chosen, wait: 5 });
      await sleep(50);
      await one.ask('DELETE', '/v1/policies/each');
      assert.equal((await waiting).headers.get('etag'), empty, 'the delete wakes it');
    });

    it('the same policy again is unchanged while the same proxies are there, and chooses anew when they are not', async () => {
      await versionOf('each-a1', 'each', one, 'app=each-a');
      assert.equal((await one.put('each', spec('each'))).status, 201);
      assert.equal((await one.put('each', spec('each'))).body.result, 'unchanged');
      await versionOf('each-a0', 'each', two, 'app=each-a');
      const again = await one.put('each', spec('each'));
      assert.equal(again.body.result, 'configured');
      assert.ok((again.body.proxies as string[]).includes('each-a0') && !(again.body.proxies as string[]).includes('each-a1'));
    });

    it('the choice outlives the end: what others report counts for nothing, and the history says whom it was for', async () => {
      const where = (name: string) => ({ proxy: name, headers: { 'x-hfi-namespace': 'each', 'x-hfi-labels': 'app=each-z' } });
      for (const name of ['each-z1', 'each-z2']) await versionOf(name, 'each', one, 'app=each-z');
      const selector = { namespace: 'each', service: 'each-z' };
      const applied = await one.put('each', { selector, rules: [{ fault: { ...abort, duration_seconds: 1 } }] });
      assert.deepEqual(applied.body.proxies, ['each-z1'], applied.text);
      const { appliedAt } = (applied.body.policy as { metadata: { appliedAt: string } }).metadata;
      type Shown = { status: { end: object | null; chosen: string[] | null } };
      const shown = async () => (await two.ask('GET', '/v1/policies/each')).body as unknown as Shown;
      await until(async () => (await shown()).status.end !== null, 'its end is written');
      assert.deepEqual((await shown()).status.chosen, ['each-z1']);
      const key = ruleKey(runKey('each', Date.parse(appliedAt)), 0);
      assert.equal((await report(two, [{ key, injected: 3 }], where('each-z2'))).status, 204);
      assert.equal((await report(two, [{ key, injected: 2 }], where('each-z1'))).status, 204);
      const { total } = (await two.ask('GET', '/v1/policies/each/counts')).body as { total: { injected: number } };
      assert.equal(total.injected, 2);
      const { items } = (await two.ask('GET', '/v1/history?policy=each&limit=1')).body as unknown as { items: Shown[] };
      assert.deepEqual(items[0]?.status.chosen, ['each-z1']);
    });

    it('the choice outlives the replica that made it', async () => {
      await versionOf('each-a0', 'each', one, 'app=each-a');
      await one.put('each', spec('each'));
      const three = await Replica.start(processes, etcd.url, {
        replica: 'three',
        env: { HFI_GUARDRAILS_FILE: file('guardrails.json', RAILS) },
      });
      const empty = await emptyVersion();
      assert.notEqual(await versionOf('each-a0', 'each', three, 'app=each-a'), empty);
      assert.equal(await versionOf('each-a9', 'each', three, 'app=each-a'), empty);
      await three.kill('SIGTERM');
    });
  });

  it('that become narrower hold back what is there already, say why, and give it free again', async () => {
    await one.put('wide', spec('free'));
    const narrow = { ...RAILS, namespaces: { ...RAILS.namespaces, free: { maxPercentage: 5 } } };
    const strict = await Replica.start(processes, etcd.url, {
      replica: 'strict',
      env: { HFI_GUARDRAILS_FILE: file('narrow.json', narrow) },
    });
    const { status } = (await strict.ask('GET', '/v1/policies/wide')).body as { status: { heldBack: string[] } };
    assert.deepEqual(status.heldBack, [
      'spec.rules[0].fault.percentage is 100; the guardrail maxPercentage allows 5',
      'spec.rules[0].fault.duration_seconds gives the rule no end; the guardrail requireEnd wants one, or a spec.lease',
    ]);
    assert.equal(await versionOf('held-1', 'free', strict), await versionOf('nothing', 'probe', strict), 'no proxy gets it');
    assert.notEqual(await versionOf('held-1', 'free', one), await versionOf('nothing', 'probe', one));
    const wide = (await one.ask('GET', '/v1/policies/wide')).body as { status: { heldBack: string[] } };
    assert.deepEqual(wide.status.heldBack, []);
    await strict.kill('SIGTERM');
    await one.ask('DELETE', '/v1/policies/wide');
  });

  it('that nobody set still close the namespaces of the system', async () => {
    const plain = await Replica.start(processes, etcd.url, { replica: 'plain', env: { HFI_NAMESPACE: 'boifi' } });
    for (const namespace of ['kube-system', 'istio-system', 'boifi']) {
      const reply = await plain.put('system', spec(namespace));
      assert.deepEqual(errorsOf(reply), [['spec.selector.namespace', 'system', namespace, 'never']]);
    }
    const mesh = await plain.put('mesh-wide', { rules: [{ fault: abort }] });
    assert.equal(mesh.status, 201, mesh.text);
    const empty = await versionOf('sys-1', 'kube-system', plain);
    await until(async () => (await versionOf('app-1', 'demo', plain)) !== empty, 'others are hit');
    for (const namespace of ['kube-system', 'istio-system', 'boifi'])
      assert.equal(await versionOf(`in-${namespace}`, namespace, plain), empty, namespace);
    const shown = (await plain.ask('GET', '/v1/guardrails')).body;
    assert.deepEqual(shown, { configured: false, guardrails: { requireEnd: false }, system: ['kube-*', 'istio-system', 'boifi'] });
    await plain.ask('DELETE', '/v1/policies/mesh-wide');
    await plain.kill('SIGTERM');
  });
});
