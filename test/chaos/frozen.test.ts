import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';
import { Pair } from './pair.ts';

const selector = { namespace: 'demo' };
const rules = [{ fault: { abort: { httpStatus: 503 } } }];
/** Longer than a replica keeps its place in the list, and than a copy may be served that nobody confirmed. */
const FROZEN_MS = 12_000;

describe('chaos: one of two replicas frozen while the other goes on', function () {
  this.timeout(60_000);
  let processes: Processes;
  let pair: Pair;
  let keys: EtcdKeys;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    keys = new EtcdKeys(etcd.url);
    pair = await Pair.start(processes, etcd.url);
  });
  after(() => processes.end());

  it('thawed it serves nothing of before, writes no end a second time, and is one of two again', async () => {
    const [steady, frozen] = pair.replicas;
    await steady.put('deleted', { selector, rules });
    await steady.put('ended', { selector, rules: [{ fault: { abort: { httpStatus: 418 }, duration_seconds: 3 } }] });
    await until(async () => selectedBy(frozen, ['deleted', 'ended']), 'both know them');
    const old = (await frozen.poll()).headers.get('etag') ?? '';

    frozen.child.kill('SIGSTOP');
    const begun = performance.now();
    // A write that reaches it while it is frozen, and is done after the thaw or not at all.
    const late = frozen.put('late', { selector, rules }, { 'if-none-match': '*' }).catch(() => undefined);
    assert.equal((await steady.ask('DELETE', '/v1/policies/deleted')).status, 200);
    assert.equal((await steady.put('late', { selector, priority: 7, rules })).status, 201);
    assert.equal((await steady.ask('POST', '/v1/halt', { body: { namespace: 'demo' } })).status, 200);
    await sleep(Math.max(0, FROZEN_MS - (performance.now() - begun)));
    frozen.child.kill('SIGCONT');

    const first = await frozen.poll();
    assert.ok(first.status === 503 || first.headers.get('etag') !== old, `${first.status}: the ruleset of before is given again`);
    const lateReply = await late;
    assert.ok(lateReply === undefined || [412, 423, 503].includes(lateReply.status), `${lateReply?.status}: a late write came through`);
    await until(async () => (await frozen.ask('GET', '/readyz', { role: 'none' })).status === 200, 'ready again', 5000);
    await until(
      async () => (await frozen.poll()).headers.get('etag') === (await steady.poll()).headers.get('etag'),
      'both serve the same',
      5000,
    );
    assert.equal(
      (await frozen.ask('GET', '/v1/policies/late')).headers.get('etag'),
      (await steady.ask('GET', '/v1/policies/late')).headers.get('etag'),
    );
    assert.equal((await frozen.put('new', { selector, rules })).status, 423, 'it knows of the halt');
    const ends = (await keys.under('/hfi/audit/')).map(({ value }) => JSON.parse(value)).filter(({ action }) => action === 'end');
    assert.deepEqual(
      ends.map(({ policy }) => policy),
      ['ended'],
    );
    await until(
      async () => {
        await frozen.poll({ name: 'of-the-frozen' });
        const { items, incomplete } = (await steady.ask('GET', '/v1/proxies')).body as { items: { name: string }[]; incomplete: string[] };
        return incomplete.length === 0 && items.some(({ name }) => name === 'of-the-frozen');
      },
      'they know each other again',
      10_000,
    );
  });

  async function selectedBy(replica: Pair['replicas'][0], names: readonly string[]): Promise<boolean> {
    await replica.poll();
    const { items } = (await replica.ask('GET', '/v1/proxies')).body as { items: { name: string; selectedBy: string[] }[] };
    const found = items.find(({ name }) => name === 'proxy-1')?.selectedBy ?? [];
    return names.every((name) => found.includes(name));
  }
});
