import assert from 'node:assert/strict';
import { makeClient } from '../../cli/client.ts';
import { verifyLive } from '../../cli/verify-audit.ts';
import type { Verification } from '../../services/audit/finding.ts';
import { sealHash } from '../../services/audit/seal.ts';
import { AuditKey } from '../../services/audit/signature.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys, type RawPair } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };
const AUDIT = '/hfi/audit/';
const WAITING = '/hfi/audit-waiting/';
const SEALS = '/hfi/audit-seals/';

function verify(replica: Replica, keys: readonly AuditKey[] = []): Promise<Verification> {
  return verifyLive(makeClient({ url: replica.url, token: TOKENS.viewer, timeoutMs: 5000 }), { keys });
}

/** Waits until nothing waits for its seal. */
async function sealed(keys: EtcdKeys): Promise<void> {
  await until(async () => (await keys.under(WAITING)).length === 0, 'all is sealed', 15_000);
}

/** Every entry of the audit, in the order asked for, page by page. */
async function all(replica: Replica, query: string): Promise<Entry[]> {
  const items: Entry[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body, text } = await replica.ask('GET', `/v1/audit?${query}&cursor=${cursor}`);
    assert.equal(status, 200, text);
    items.push(...(body.items as Entry[]));
    cursor = body.nextCursor as string | null;
  }
  return items;
}

interface Entry {
  readonly id: string;
  readonly time: string;
  readonly action: string;
  readonly policy: string;
  readonly actor: { readonly name: string };
  readonly resourceVersion: string;
}

describe('API: the chain of the audit', function () {
  this.timeout(60_000);
  let processes: Processes;
  before(async () => {
    processes = await Processes.begin();
  });
  after(() => processes.end());

  describe('names what was done behind its back', () => {
    let keys: EtcdKeys;
    let replica: Replica;
    /** What was found by earlier cases: nothing of it can be undone. */
    const told = new Set<string>();

    before(async () => {
      const etcd = await Etcd.start(processes);
      keys = new EtcdKeys(etcd.url);
      replica = await Replica.start(processes, etcd.url);
    });
    beforeEach(async () => {
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 4; i++) await replica.put(`policy-${i}`, { ...spec, priority: Math.floor(Math.random() * 1e6) });
        await sealed(keys);
      }
    });

    /** One of the sealed entries: of the twelve newest, the fifth. */
    async function entry(at = 5): Promise<RawPair & { readonly id: string }> {
      const found = (await keys.under(AUDIT))[at];
      assert.ok(found !== undefined);
      return { ...found, id: found.key.slice(AUDIT.length) };
    }

    async function newFindings(): Promise<string[]> {
      const { findings } = await verify(replica);
      const news = findings.map(({ kind, of }) => `${kind} ${of}`).filter((finding) => !told.has(finding));
      for (const finding of news) told.add(finding);
      return news;
    }

    it('nothing, while nobody touched anything', async () => {
      const found = await verify(replica);
      assert.deepEqual(found.findings, []);
      assert.deepEqual([found.ok, found.entries, found.waiting, found.beforeChain, found.forgotten], [true, 12, 0, 0, null]);
      assert.ok(found.seals >= 3, `${found.seals} seals`);
    });

    it('an entry that was changed', async () => {
      const { id, key, value } = await entry();
      await keys.put(key, value.replace('the-admin', 'somebody'));
      assert.deepEqual(await newFindings(), [`changed ${id}`]);
    });

    it('an entry that was removed', async () => {
      const { id, key } = await entry();
      await keys.delete(key);
      assert.deepEqual(await newFindings(), [`removed ${id}`]);
    });

    it('an entry that was put in between others', async () => {
      const { id, key, value } = await entry();
      await keys.put(`${key}0`, value);
      assert.deepEqual(await newFindings(), [`inserted ${id}0`]);
      // Also when the chain goes on.
      await replica.put('policy-0', { ...spec, priority: -1 });
      await sealed(keys);
      assert.ok((await verify(replica)).findings.some(({ kind, of }) => kind === 'inserted' && of === `${id}0`));
    });

    it('entries that changed places', async () => {
      const [one, other] = [await entry(2), await entry(8)];
      await keys.put(one.key, other.value);
      await keys.put(other.key, one.value);
      assert.deepEqual((await newFindings()).sort(), [`moved ${one.id}`, `moved ${other.id}`].sort());
    });

    it('an entry that was removed and written again', async () => {
      const { id, key, value } = await entry();
      await keys.delete(key);
      await keys.put(key, value);
      assert.deepEqual(await newFindings(), [`changed ${id}`]);
    });

    it('an entry that was changed, with its seal', async () => {
      const { id, key, value } = await entry(6);
      await keys.put(key, value.replace('the-admin', 'somebody'));
      const at = (await keys.under(SEALS)).find(({ value }) => value.includes(id));
      assert.ok(at !== undefined);
      const seal = JSON.parse(at.value);
      const entries = seal.entries.filter((one: { id: string }) => one.id !== id);
      await keys.put(at.key, JSON.stringify({ ...seal, entries, hash: sealHash({ ...seal, entries }) }));
      assert.deepEqual(await newFindings(), [`seal-changed ${seal.sequence}`, `inserted ${id}`]);
    });

    it('a seal that was removed, and the entries that nothing vouches for any more', async () => {
      const at = (await keys.under(SEALS)).at(-2);
      assert.ok(at !== undefined);
      const seal = JSON.parse(at.value);
      await keys.delete(at.key);
      const ids: string[] = seal.entries.map(({ id }: { id: string }) => `unsealed ${id}`);
      assert.deepEqual((await newFindings()).sort(), [`seal-removed ${seal.sequence}`, ...ids].sort());
    });

    it('entries that were taken out of the line before they were sealed', async () => {
      await replica.put('policy-0', { ...spec, priority: -2 });
      await until(async () => (await keys.under(WAITING)).length > 0, 'it waits', 1000);
      await keys.deleteUnder(WAITING);
      const { id } = await entry(0);
      assert.deepEqual(await newFindings(), [`inserted ${id}`]);
    });

    it('the newest ones, while their seal is missing', async () => {
      const at = (await keys.under(SEALS)).at(-1);
      assert.ok(at !== undefined);
      const seal = JSON.parse(at.value);
      await keys.delete(at.key);
      for (const { id } of seal.entries) await keys.delete(`${AUDIT}${id}`);
      assert.deepEqual(await newFindings(), [`seal-removed ${seal.sequence}`]);
    });

    it('a chain that was set back is told in the log of every replica that knew it', async () => {
      const head = (await keys.under('/hfi/audit-head'))[0];
      assert.ok(head !== undefined);
      await keys.put(head.key, JSON.stringify({ ...JSON.parse(head.value), sequence: 1 }));
      await replica.put('policy-0', { ...spec, priority: -3 });
      await until(() => replica.log.includes("the audit's chain in etcd is not the one that was there"), 'it is told', 10_000);
      assert.match((await replica.ask('GET', '/metrics', { role: 'none' })).text, /^hfi_audit_set_back_total [1-9]/m);
    });
  });

  it('entries from before the chain are sealed as they are found, and told apart', async () => {
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const first = await Replica.start(processes, etcd.url, { replica: 'before' });
    for (let i = 0; i < 230; i++) await first.put(`policy-${i % 3}`, { ...spec, priority: i });
    await first.kill('SIGTERM');
    // As an earlier version left it.
    for (const prefix of [WAITING, SEALS, '/hfi/audit-head']) await keys.deleteUnder(prefix);
    const [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one' }),
      Replica.start(processes, etcd.url, { replica: 'two' }),
    ]);
    await Promise.all([one.put('policy-0', { ...spec, priority: 1000 }), two.put('policy-1', { ...spec, priority: 1000 })]);
    await until(async () => (await keys.under('/hfi/audit-head')).length > 0, 'the chain has begun', 10_000);
    await sealed(keys);
    const found = await verify(one);
    assert.deepEqual([found.findings, found.beforeChain, found.entries], [[], 230, 232]);
    const oldest = await all(two, 'order=oldest&limit=50');
    assert.deepEqual(
      oldest.map(({ resourceVersion }) => Number(resourceVersion)),
      oldest.map(({ resourceVersion }) => Number(resourceVersion)).toSorted((a, b) => a - b),
    );
    const { key, value } = (await keys.under(AUDIT))[100] ?? { key: '', value: '' };
    await keys.put(key, value.replace('the-admin', 'somebody'));
    assert.deepEqual(
      (await verify(one)).findings.map(({ kind, of }) => `${kind} ${of}`),
      [`changed ${key.slice(AUDIT.length)}`],
    );
    await Promise.all([one.kill(), two.kill()]);
  });

  it('two replicas that write at once make one chain with each entry in it once', async () => {
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const replicas = await Promise.all(['one', 'two'].map((replica) => Replica.start(processes, etcd.url, { replica })));
    const write = (round: number) =>
      Promise.all(
        replicas.flatMap((replica, r) =>
          Array.from({ length: 8 }, async (_, writer) => {
            for (let i = 0; i < 25; i++) {
              const reply = await replica.put(`policy-${r}-${writer}`, { ...spec, priority: round * 25 + i });
              assert.ok(reply.status < 300, reply.text);
            }
          }),
        ),
      );
    let rounds = 0;
    // Who seals is a matter of chance: one that is a little faster may do all of it for a while.
    await until(async () => {
      await write(rounds++);
      await sealed(keys);
      const makers = new Set((await keys.under(SEALS)).map(({ value }) => JSON.parse(value).replica));
      return makers.size === 2;
    }, 'both have made seals');
    for (const replica of replicas) {
      const found = await verify(replica);
      assert.deepEqual([found.findings, found.entries], [[], 400 * rounds]);
    }
    await Promise.all(replicas.map((replica) => replica.kill()));
  });

  it('replicas that are killed in the middle of writes leave a whole chain, in which every acknowledged write is', async () => {
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const acknowledged = new Set<string>();
    for (let round = 0; round < 6; round++) {
      const replica = await Replica.start(processes, etcd.url, { replica: `round-${round}` });
      const writers = Array.from({ length: 6 }, async (_, writer) => {
        for (let i = 0; ; i++) {
          const name = `policy-${round}-${writer}-${i}`;
          const reply = await replica.put(name, spec).catch(() => undefined);
          if (reply === undefined) return;
          if (reply.status === 201) acknowledged.add(name);
        }
      });
      await until(() => acknowledged.size > (round + 1) * 20 + round * 7, 'some writes are done');
      await replica.kill('SIGKILL');
      await Promise.all(writers);
    }
    const last = await Replica.start(processes, etcd.url, { replica: 'last' });
    await sealed(keys);
    const found = await verify(last);
    assert.deepEqual([found.findings, found.waiting], [[], 0]);
    const audited = new Set((await all(last, 'limit=200')).map(({ policy }) => policy));
    assert.deepEqual(
      [...acknowledged].filter((name) => !audited.has(name)),
      [],
    );
    await last.kill();
  });

  it('goes on while etcd is slow, and after it was restarted', async () => {
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const line = await TcpProxy.start(etcd.port);
    const [far, near] = await Promise.all([
      Replica.start(processes, `http://127.0.0.1:${line.port}`, { replica: 'far' }),
      Replica.start(processes, etcd.url, { replica: 'near' }),
    ]);
    await far.put('policy-0', spec);
    line.delay(1000);
    const slow = await Promise.all(Array.from({ length: 10 }, (_, i) => far.put(`slow-${i}`, spec)));
    const quick = await Promise.all(Array.from({ length: 10 }, (_, i) => near.put(`quick-${i}`, spec)));
    assert.ok(quick.every(({ status }) => status === 201));
    assert.ok(slow.every(({ status }) => status === 201 || status === 503));
    line.delay(0);
    await etcd.kill();
    await etcd.start();
    await until(async () => (await near.put('after', spec)).status < 300, 'a write goes through');
    await sealed(keys);
    const found = await verify(near);
    assert.deepEqual([found.ok, found.findings], [true, []]);
    assert.ok(found.entries >= 12, `${found.entries} entries`);
    line.close();
    await Promise.all([far.kill(), near.kill()]);
  });

  it('with a key, every entry and seal is signed, and what others write is found', async () => {
    const { writeFileSync } = await import('node:fs');
    const file = `${processes.folder}/audit.key`;
    writeFileSync(file, 'the key of the control planes\n', { mode: 0o600 });
    const key = new AuditKey('the key of the control planes');
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const replica = await Replica.start(processes, etcd.url, { env: { HFI_AUDIT_KEY_FILE: file } });
    for (let i = 0; i < 5; i++) await replica.put(`policy-${i}`, spec);
    await sealed(keys);
    const found = await verify(replica, [key]);
    assert.deepEqual(found.findings, []);
    assert.equal(found.signatures.checked, 5 + found.seals);
    assert.equal((await verify(replica)).signatures.unchecked, 5 + found.seals);
    // Somebody who knows how all this is done, but not the key.
    const { key: name, value } = (await keys.under(AUDIT))[2] ?? { key: '', value: '' };
    const id = `${name.slice(AUDIT.length)}0`;
    const { hash } = JSON.parse((await keys.under(SEALS))[0]?.value ?? '').entries[0];
    await keys.put(`${AUDIT}${id}`, value);
    await keys.put(`${WAITING}${id}`, JSON.stringify({ hash, adopted: '1' }));
    await sealed(keys);
    const kinds = (await verify(replica, [key])).findings.map(({ kind, of }) => `${kind} ${of}`);
    assert.ok(kinds.includes(`not-signed ${id}`), kinds.join());
    await replica.kill();
  });

  describe('is read', () => {
    let replica: Replica;
    before(async () => {
      const etcd = await Etcd.start(processes);
      replica = await Replica.start(processes, etcd.url);
      for (let i = 0; i < 60; i++) {
        await replica.ask('PUT', `/v1/policies/policy-${i % 4}`, {
          role: i % 3 === 0 ? 'editor' : 'admin',
          body: { metadata: { name: `policy-${i % 4}` }, spec: { ...spec, priority: i } },
        });
      }
      for (let i = 0; i < 4; i++) await replica.ask('DELETE', `/v1/policies/policy-${i}`);
    });

    const versions = (entries: readonly Entry[]): number[] => entries.map(({ resourceVersion }) => Number(resourceVersion));

    it('page by page, newest or oldest first, each entry once', async () => {
      const newest = await all(replica, 'limit=7');
      const oldest = await all(replica, 'limit=7&order=oldest');
      assert.equal(newest.length, 64);
      assert.deepEqual(
        oldest,
        newest.toSorted((a, b) => Number(a.resourceVersion) - Number(b.resourceVersion)),
      );
      assert.deepEqual(
        versions(oldest),
        versions(oldest).toSorted((a, b) => a - b),
      );
    });

    for (const order of ['newest', 'oldest']) {
      it(`by policy, actor, action and time, ${order} first`, async () => {
        const whole = await all(replica, `limit=200&order=${order}`);
        const middle = whole[30]?.time ?? '';
        const rows: [string, (entry: Entry) => boolean][] = [
          ['policy=policy-2', ({ policy }) => policy === 'policy-2'],
          ['actor=the-editor', ({ actor }) => actor.name === 'the-editor'],
          ['action=delete', ({ action }) => action === 'delete'],
          [
            'action=replace&actor=the-admin&policy=policy-1',
            (e) => e.action === 'replace' && e.actor.name === 'the-admin' && e.policy === 'policy-1',
          ],
          [`since=${middle}`, ({ time }) => time >= middle],
          [`until=${middle}`, ({ time }) => time < middle],
          [`since=${middle}&action=delete`, ({ time, action }) => time >= middle && action === 'delete'],
          ['policy=nothing', () => false],
        ];
        for (const [query, fits] of rows) {
          const expected = whole.filter(fits);
          if (query !== 'policy=nothing') assert.ok(expected.length > 0 && expected.length < whole.length, query);
          assert.deepEqual(await all(replica, `limit=3&order=${order}&${query}`), expected, query);
        }
      });
    }

    for (const query of [
      'since=yesterday',
      'order=random',
      'action=explode',
      'cursor=%2F',
      'order=oldest&cursor=1234567890123-abc',
      'cursor=3:4',
    ]) {
      it(`refuses ${query}`, async () => {
        assert.equal((await replica.ask('GET', `/v1/audit?${query}`)).status, 400);
      });
    }
  });
});
