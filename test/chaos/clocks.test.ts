import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { makeClient } from '../../cli/client.ts';
import { verifyLive } from '../../cli/verify-audit.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';

const HOUR_MS = 3_600_000;
const JUMPING = pathToFileURL(join(import.meta.dirname, 'jumping-clock.ts')).href;
const fault = { abort: { httpStatus: 503 } };
const selector = { namespace: 'demo' };

function setClock(processes: Processes, ms: number): void {
  writeFileSync(join(processes.folder, 'clock'), String(ms));
}

/** A replica that goes by a clock which `setClock` sets. */
function startJumping(processes: Processes, etcd: Etcd): Promise<Replica> {
  const env = { NODE_OPTIONS: `--import=${JUMPING}`, CHAOS_CLOCK: join(processes.folder, 'clock') };
  return Replica.start(processes, etcd.url, { replica: 'jumping', env });
}

/** The time that a replica tells proxies, ahead of the true one, in milliseconds. */
async function ahead(replica: Replica): Promise<number> {
  return Number((await replica.poll({ name: 'looks-at-the-clock' })).headers.get('x-hfi-time')) - Date.now();
}

describe('chaos: the clock of the only replica is set back by an hour', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    setClock(processes, 0);
    replica = await startJumping(processes, etcd);
  });
  after(() => processes.end());

  it('policies end in time all the same, those of before and those of after, and proxies are told no time of before', async () => {
    const timed = { selector, rules: [{ fault: { ...fault, duration_seconds: 3 } }] };
    await replica.put('before', timed);
    const begun = performance.now();
    await until(async () => (await replica.poll()).text.length > 200, 'it is served');
    setClock(processes, -HOUR_MS);
    await until(() => replica.log.includes('the wall clock was set back'), 'it says so');
    const after = await replica.put('after', timed);
    assert.ok(Math.abs(Date.parse((after.body.policy as { status: { endsAt: string } }).status.endsAt) - Date.now() - 3000) < 1000);
    const names = async (): Promise<string[]> => {
      const { items } = (await replica.ask('GET', '/v1/policies')).body as {
        items: { metadata: { name: string }; status: { state: string } }[];
      };
      return items.filter(({ status }) => status.state === 'active').map(({ metadata }) => metadata.name);
    };
    assert.deepEqual(await names(), ['after', 'before']);
    await until(async () => (await names()).length === 0, 'both have ended', 5000);
    assert.ok(performance.now() - begun < 6000, `${performance.now() - begun} ms`);
    assert.ok(Math.abs(await ahead(replica)) < 1000);
    const { text } = await replica.ask('GET', '/metrics', { role: 'none' });
    assert.match(text, /^hfi_clock_behind_seconds 3(600|599)/m);
  });
});

describe('chaos: the clock of one of two replicas jumps', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let steady: Replica;
  let jumping: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    steady = await Replica.start(processes, etcd.url, { replica: 'steady' });
  });
  beforeEach(async () => {
    jump(0);
    // One that was ahead once stays so until it is started again.
    jumping = await startJumping(processes, etcd);
  });
  afterEach(() => jumping.kill());
  after(() => processes.end());

  const jump = (ms: number): void => setClock(processes, ms);

  /** Set ahead it goes by that; set back it goes on as before, and says so. */
  async function jumped(ms: number): Promise<void> {
    jump(ms);
    await until(async () => Math.abs((await ahead(jumping)) - Math.max(ms, 0)) < 1000, 'its time is right');
    if (ms < 0) await until(() => jumping.log.includes('the wall clock was set back'), 'it says so');
  }

  for (const [what, ms] of [
    ['ahead', HOUR_MS],
    ['back', -HOUR_MS],
  ] as const) {
    it(`an hour ${what}: policies without an end stay, one with an end is never late, writes and their audit stay whole`, async () => {
      assert.equal((await steady.put(`stays-${what}`, { selector, rules: [{ fault }] })).status, 201);
      const applied = await steady.put(`timed-${what}`, { selector, rules: [{ fault: { ...fault, duration_seconds: 4 } }] });
      const { endsAt } = (applied.body.policy as { status: { endsAt: string } }).status;
      const running = async (replica: Replica) => {
        const { items } = (await replica.ask('GET', '/v1/proxies')).body as { items: { name: string; selectedBy: string[] }[] };
        return items.find(({ name }) => name === 'proxy-1')?.selectedBy ?? [];
      };
      await jumping.poll();
      await until(async () => (await running(jumping)).includes(`timed-${what}`), 'it is served');
      await jumped(ms);
      assert.ok(Math.abs(await ahead(steady)) < 1000, 'the other one is right');

      // Written where the clock is wrong, read where it is right, and the other way round.
      for (let i = 1; i <= 5; i++) {
        for (const [writer, reader] of [
          [jumping, steady],
          [steady, jumping],
        ] as const) {
          const reply = await writer.put(`stays-${what}`, { selector, priority: i * 10 + (writer === steady ? 1 : 0), rules: [{ fault }] });
          assert.equal(reply.status, 200, reply.text);
          assert.equal((await reader.ask('GET', `/v1/policies/stays-${what}`)).headers.get('etag'), reply.headers.get('etag'));
        }
      }

      await sleep(Math.max(0, Date.parse(endsAt) - Date.now() + 300));
      for (const replica of [steady, jumping]) {
        await replica.poll();
        const served = await running(replica);
        assert.ok(!served.includes(`timed-${what}`), 'the end is not late');
        assert.ok(served.includes(`stays-${what}`), 'what has no end stays');
      }
      const keys = new EtcdKeys(etcd.url);
      await until(async () => (await keys.under('/hfi/audit-waiting/')).length === 0, 'all is sealed', 15_000);
      for (const replica of [steady, jumping]) {
        const { ok, findings } = await verifyLive(makeClient({ url: replica.url, token: TOKENS.viewer, timeoutMs: 5000 }), { keys: [] });
        assert.deepEqual([ok, findings], [true, []]);
      }
      const { items } = (await steady.ask('GET', '/v1/audit?limit=200')).body as { items: { action: string; policy: string }[] };
      assert.equal(items.filter(({ action, policy }) => action === 'end' && policy === `timed-${what}`).length, 1, 'it ended once');
    });

    it(`an hour ${what}: held polls are answered, a halt holds everywhere, and an owner's lease ends in time`, async () => {
      const applied = await jumping.put(`leased-${what}`, { selector, lease: '5s', rules: [{ fault }] });
      assert.equal(applied.status, 201, applied.text);
      const begun = performance.now();
      const has = (await jumping.poll()).headers.get('etag') ?? '';
      const held = jumping.poll({ has, wait: 20 });
      await jumped(ms);
      const halted = await jumping.ask('POST', '/v1/halt', { body: { reason: 'clock' } });
      assert.equal(halted.status, 200, halted.text);
      assert.equal((await held).status, 200);
      await until(async () => (await steady.ask('GET', '/v1/halt')).body.halted === true, 'the other knows', 2000);
      assert.equal((await jumping.ask('DELETE', '/v1/halt')).body.result, 'resumed');
      await until(async () => (await steady.ask('GET', '/v1/halt')).body.halted === false, 'the other knows', 2000);
      const over = async (replica: Replica) => {
        const reply = await replica.ask('GET', `/v1/policies/leased-${what}`);
        return reply.status === 404 || (reply.body.status as { state: string }).state === 'ended';
      };
      await until(async () => (await over(steady)) && (await over(jumping)), 'the lease ends', 5000 - (performance.now() - begun) + 1000);
    });
  }
});
