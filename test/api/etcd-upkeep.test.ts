import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { extract } from 'tar';
import { buildBundle } from '../../build/bundle.ts';
import { type EtcdClient, makeClient } from '../../services/control-plane/store/client.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdMembers } from '../support/etcd-members.ts';
import { findEtcdutl } from '../support/etcdutl.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

interface Ended {
  readonly status: number | null;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly text: string;
}

const NAME = /^etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.db$/;

describe("etcd's upkeep", function () {
  this.timeout(60_000);
  let processes: Processes;
  let program: string;

  // As a pod has it: unpacked from the tarball, far from node_modules.
  before(async () => {
    processes = await Processes.begin();
    const programs = join(processes.folder, 'app');
    mkdirSync(programs);
    await extract({ file: await buildBundle(join(processes.folder, 'bundle.tgz')), cwd: programs });
    program = join(programs, 'etcd-upkeep', 'main.cjs');
  });
  after(() => processes.end());

  const newFolder = (): string => mkdtempSync(join(processes.folder, 'backup-'));

  function run(env: NodeJS.ProcessEnv, folder: string): Promise<Ended> {
    const child = spawn(process.execPath, [program], { env: { HFI_BACKUP_FOLDER: folder, HFI_ETCD_WAIT_MS: '500', ...env } });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
    }
    return new Promise((resolve) => {
      child.on('close', (status) => {
        const lines = text.split('\n').filter((line) => line.startsWith('{'));
        resolve({ status, text, lines: lines.map((line) => JSON.parse(line)) });
      });
    });
  }

  const membersIn = ({ lines }: Ended, message: string) => lines.filter(({ msg }) => msg === message).map(({ member }) => member);

  describe("of three members, over the stack's certificates", () => {
    let etcd: EtcdMembers;
    let clients: EtcdClient[];
    let env: NodeJS.ProcessEnv;

    before(async () => {
      etcd = await EtcdMembers.start(processes, 3);
      const { ca, cert, key } = etcd.client;
      env = { HFI_ETCD_ENDPOINTS: etcd.endpoints.join(','), HFI_ETCD_CA_FILE: ca, HFI_ETCD_CERT_FILE: cert, HFI_ETCD_KEY_FILE: key };
      const login = { username: undefined, password: undefined, caFile: ca, certFile: cert, keyFile: key };
      clients = etcd.endpoints.map((endpoint) => makeClient({ endpoints: [endpoint], ...login }));
    });
    after(() => {
      for (const client of clients) client.close();
    });

    const states = () => Promise.all(clients.map((client) => client.maintenance.status()));

    /** Writes and deletes much, so that there is room to give back. */
    async function waste(): Promise<void> {
      const [client] = clients;
      assert.ok(client !== undefined);
      for (let i = 0; i < 30; i++) await client.put(`waste/${i}`).value(Buffer.alloc(200_000, 1));
      const { header } = await client.delete().all().exec();
      await client.kv.compact({ revision: header.revision, physical: true }, { deadline: Date.now() + 10_000 });
      await until(async () => {
        // A database counts anew what it holds when something is written.
        await client.put('tick').value('');
        return (await states()).every(({ dbSizeInUse }) => Number(dbSizeInUse) < 1e6);
      }, 'every member has forgotten');
    }

    it("saves a snapshot and makes every database smaller, the leader's last", async () => {
      await waste();
      const before = await states();
      assert.ok(before.every(({ dbSize }) => Number(dbSize) > 4e6));
      const leader = etcd.endpoints[before.findIndex(({ header, leader: id }) => header.member_id === id)];
      const leaderFirst = [leader, ...etcd.endpoints.filter((one) => one !== leader)].join(',');
      const folder = newFolder();
      const ended = await run({ ...env, HFI_ETCD_ENDPOINTS: leaderFirst }, folder);
      assert.equal(ended.status, 0, ended.text);

      const done = membersIn(ended, 'defragmented');
      assert.deepEqual([...done].sort(), [...etcd.endpoints].sort());
      assert.equal(done.at(-1), leader);
      for (const { dbSize } of await states()) assert.ok(Number(dbSize) < 1e6, dbSize);

      const files = readdirSync(folder);
      assert.equal(files.length, 1);
      assert.match(files[0] ?? '', NAME);
      assertSnapshot(join(folder, files[0] ?? ''));
      // etcd's data are the mesh's: nobody else on the volume reads them.
      assert.equal(statSync(join(folder, files[0] ?? '')).mode & 0o777, 0o600);
    });

    it('leaves members alone that have nothing to give back', async () => {
      for (let i = 0; i < 10; i++) await clients[0]?.put(`stays/${i}`).value(Buffer.alloc(200_000, 1));
      assert.equal((await run(env, newFolder())).status, 0);
      const ended = await run(env, newFolder());
      assert.equal(ended.status, 0, ended.text);
      assert.deepEqual(membersIn(ended, 'defragmented'), []);
      assert.equal(membersIn(ended, 'has next to nothing to give back').length, 3);
    });

    it('keeps the newest, and touches nothing but what is its own', async () => {
      const folder = newFolder();
      const day = (date: number): string => `etcd-2026-01-0${date}T03-17-00Z.db`;
      const others = ['notes.txt', 'etcd-by-hand.db', 'etcd-2026-01-01T03-17-00Z.db.partial.txt'];
      const left = ['etcd-2026-01-01T03-17-00Z.db.partial', `${day(3)}.partial`];
      for (const name of [day(1), day(2), day(3), ...others, ...left]) writeFileSync(join(folder, name), name);
      const twoHoursAgo = Date.now() / 1000 - 7200;
      utimesSync(join(folder, left[0] ?? ''), twoHoursAgo, twoHoursAgo);
      const ended = await run({ ...env, HFI_BACKUP_KEEP: '2' }, folder);
      assert.equal(ended.status, 0, ended.text);
      const files = readdirSync(folder);
      const made = files.filter((name) => NAME.test(name) && !name.startsWith('etcd-2026-01-0'));
      assert.equal(made.length, 1, files.join());
      assert.deepEqual(files.sort(), [...others, left[1], day(3), ...made].sort());
    });

    it('with a member that does not answer saves a snapshot, and lets the others go on', async () => {
      await waste();
      etcd.pause(1);
      const folder = newFolder();
      const ended = await run(env, folder).finally(() => etcd.resume(1));
      assert.equal(ended.status, 1);
      assert.deepEqual(membersIn(ended, 'defragmented'), []);
      const failure = ended.lines.find(({ msg }) => msg === 'not every member was defragmented');
      assert.ok(String(failure?.reason).startsWith(`${etcd.endpoints[1]} is not ready`), ended.text);
      const [name = ''] = readdirSync(folder);
      assertSnapshot(join(folder, name));
    });

    it('is let in by its certificate, and tells nobody its key', async () => {
      const folder = newFolder();
      const { HFI_ETCD_CERT_FILE: _cert, HFI_ETCD_KEY_FILE: _key, ...without } = env;
      const ended = await run(without, folder);
      assert.equal(ended.status, 1, ended.text);
      assert.equal(ended.lines.at(-1)?.msg, 'no snapshot was saved');
      assert.deepEqual(readdirSync(folder), []);
      assert.doesNotMatch(ended.text, /PRIVATE KEY/);
    });
  });

  it('saves what a new etcd and a control plane can go on with', async function () {
    const etcdutl = await findEtcdutl();
    if (etcdutl === undefined) this.skip();
    const etcd = await Etcd.start(processes);
    const first = await Replica.start(processes, etcd.url);
    const spec = { selector: { namespace: 'shop' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] };
    assert.equal((await first.put('kept', spec)).status, 201);
    const folder = newFolder();
    assert.equal((await run({ HFI_ETCD_ENDPOINTS: etcd.url }, folder)).status, 0);
    assert.equal((await first.put('later', spec)).status, 201);

    const [name = ''] = readdirSync(folder);
    const data = join(processes.folder, 'restored');
    const restored = spawnSync(etcdutl, ['snapshot', 'restore', join(folder, name), '--data-dir', data], { encoding: 'utf8' });
    assert.equal(restored.status, 0, restored.stderr);
    const second = await Replica.start(processes, (await Etcd.start(processes, data)).url);
    const kept = await second.ask('GET', '/v1/policies/kept');
    assert.equal(kept.status, 200);
    assert.deepEqual(kept.body, (await first.ask('GET', '/v1/policies/kept')).body);
    assert.equal((await second.ask('GET', '/v1/policies/later')).status, 404);
    const audit = (await second.ask('GET', '/v1/audit')).body.items as { policy: string }[];
    assert.deepEqual(
      audit.map(({ policy }) => policy),
      ['kept'],
    );
  });

  describe('of an etcd behind a bad line', () => {
    let etcd: Etcd;
    let line: TcpProxy;
    let env: NodeJS.ProcessEnv;
    const OLD = 'etcd-2026-01-01T03-17-00Z.db';

    before(async () => {
      etcd = await Etcd.start(processes);
      line = await TcpProxy.start(etcd.port);
      env = { HFI_ETCD_ENDPOINTS: `http://127.0.0.1:${line.port}`, HFI_BACKUP_KEEP: '1' };
      const none = undefined;
      const client = makeClient({ endpoints: [etcd.url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
      for (let i = 0; i < 60; i++) await client.put(`much/${i}`).value(Buffer.alloc(1_000_000, 'much'));
      client.close();
    });
    after(() => line.close());

    async function assertNothingSaved(ended: Ended, folder: string, reason: RegExp): Promise<void> {
      assert.equal(ended.status, 1, ended.text);
      assert.equal(ended.lines.at(-1)?.msg, 'no snapshot was saved');
      assert.match(String(ended.lines.at(-1)?.reason), reason);
      // The old one may be the only one that is good.
      assert.deepEqual(readdirSync(folder), [OLD]);
      assert.deepEqual(membersIn(ended, 'defragmented'), []);
    }

    function folderWithOld(): string {
      const folder = newFolder();
      writeFileSync(join(folder, OLD), 'old');
      return folder;
    }

    it('saves nothing when the line is cut halfway', async () => {
      const folder = folderWithOld();
      const running = run(env, folder);
      const partial = (): string | undefined => readdirSync(folder).find((name) => name.endsWith('.partial'));
      await until(() => partial() !== undefined && statSync(join(folder, partial() ?? '')).size > 1e6, 'some of it is there');
      line.cut();
      const ended = await running;
      line.pass();
      await assertNothingSaved(ended, folder, /127\.0\.0\.1/);
    });

    it('saves nothing when other bytes come than were sent', async () => {
      const folder = folderWithOld();
      line.alter((bytes) => {
        const at = bytes.indexOf('muchmuchmuch');
        if (at < 0) return bytes;
        const altered = Buffer.from(bytes);
        altered.write('M', at);
        return altered;
      });
      const ended = await run(env, folder);
      line.alter((bytes) => bytes);
      await assertNothingSaved(ended, folder, /what came is not what etcd has/);
    });

    it('saves it when the line is good again, and the old one goes', async () => {
      const folder = folderWithOld();
      const ended = await run(env, folder);
      assert.equal(ended.status, 0, ended.text);
      const files = readdirSync(folder);
      assert.equal(files.length, 1);
      assert.notEqual(files[0], OLD);
      assertSnapshot(join(folder, files[0] ?? ''));
    });
  });

  for (const [variable, value, says] of [
    ['HFI_BACKUP_FOLDER', undefined, /HFI_BACKUP_FOLDER is not set/],
    ['HFI_BACKUP_KEEP', '0', /HFI_BACKUP_KEEP is "0"; it must be a whole number from 1 to 1000/],
    ['HFI_ETCD_ENDPOINTS', 'etcd:2379', /HFI_ETCD_ENDPOINTS has "etcd:2379"; it must be a URL/],
    ['HFI_ETCD_KEY_FILE', '/key', /HFI_ETCD_CERT_FILE is not set; .* go together/],
  ] as const) {
    it(`says what is wrong with ${variable}, and ends with 2`, async () => {
      const ended = await run({ [variable]: value }, newFolder());
      assert.equal(ended.status, 2);
      assert.match(ended.text, says);
    });
  }
});

/** A whole database of etcd (bbolt's file format: a meta page with its magic number first) and the hash of it. */
function assertSnapshot(file: string): void {
  const bytes = readFileSync(file);
  const database = bytes.subarray(0, -32);
  assert.equal(database.readUInt32LE(16), 0xed0cdaed, 'magic');
  const pageSize = database.readUInt32LE(24);
  assert.ok(pageSize >= 512 && database.length % pageSize === 0 && database.length >= 4 * pageSize, `${database.length} of ${pageSize}`);
  assert.deepEqual(bytes.subarray(-32), createHash('sha256').update(database).digest());
}
