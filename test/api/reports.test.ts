import assert from 'node:assert/strict';
import { COUNTERS } from '../../services/control-plane/counts/tally.ts';
import { runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { report } from '../support/report.ts';

const fault = { abort: { httpStatus: 503 } };
const spec = { rules: [{ fault }] };

type Counts = { readonly [counter: string]: number };

interface PolicyCounts {
  readonly total: { readonly matched: number; readonly injected: number; readonly kinds: Counts; readonly skipped: Counts };
  readonly perSecond: number;
  readonly verdict: string;
  readonly rules: readonly { readonly name: string; readonly counts: { readonly injected: number }; readonly limitReached: boolean }[];
  readonly proxies: readonly {
    readonly name: string;
    readonly counts: { readonly injected: number };
    readonly unasked: number;
    readonly uncounted: number;
  }[];
  readonly incomplete: readonly string[];
}

/** Applies a policy. @returns the key of its first rule */
async function apply(replica: Replica, name: string, given: PolicyInput['spec'] = spec): Promise<bigint> {
  const { body } = await replica.put(name, given);
  const { metadata } = body.policy as { metadata: { appliedAt: string; resourceVersion: string } };
  assert.equal((await replica.ask('GET', `/v1/policies/${name}/counts?revision=${metadata.resourceVersion}`)).status, 200);
  return runKey(name, Date.parse(metadata.appliedAt));
}

async function countsOf(replica: Replica, name: string): Promise<PolicyCounts> {
  const reply = await replica.ask('GET', `/v1/policies/${name}/counts`);
  assert.equal(reply.status, 200, reply.text);
  return reply.body as unknown as PolicyCounts;
}

/** A counter on a replica's metrics page, 0 when it isn't there. */
async function metric(replica: Replica, name: string): Promise<number> {
  const { text } = await replica.ask('GET', '/metrics', { role: 'none' });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}

describe('API: reports', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
  });
  after(() => processes.end());

  /** Waits until etcd has what replicas heard. */
  const kept = (policy: string, injected: number): Promise<void> =>
    until(async () => {
      const found = await fetch(`${etcd.url}/v3/kv/range`, {
        method: 'POST',
        body: JSON.stringify({ key: base64(`/hfi/counts/${policy}/`), range_end: base64(`/hfi/counts/${policy}0`) }),
      });
      const { kvs = [] } = (await found.json()) as { kvs?: { value: string }[] };
      const values = kvs.map(
        ({ value }) => JSON.parse(Buffer.from(value, 'base64').toString()) as { epochs: Record<string, Record<string, Counts>> },
      );
      const sum = values
        .flatMap(({ epochs }) => Object.values(epochs).flatMap((rules) => Object.values(rules)))
        .reduce((all, { injected: n = 0 }) => all + n, 0);
      return sum === injected;
    }, `etcd has ${injected} injections of ${policy}`);

  it('are added up by rule and proxy, with every counter', async () => {
    const key = await apply(one, 'sums', { rules: [{ fault }, { fault }] });
    const all = Object.fromEntries(COUNTERS.map((name, i) => [name, name === 'injected' ? 100 : i]));
    assert.equal(
      (
        await report(one, [
          { key, ...all },
          { key: key + 1n, injected: 5 },
          { key: 0n, dice: 77 },
          { key: 1n, injected: 2, dice: 1 },
        ])
      ).status,
      204,
    );
    await report(one, [{ key, injected: 3, dice: 4 }], { proxy: 'proxy-2' });
    const counts = await countsOf(one, 'sums');
    assert.deepEqual(counts.total, {
      matched: 108 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15 + 4,
      injected: 108,
      kinds: { abort: 1, delay: 2, reset: 3, request: 4, response: 5 },
      skipped: { dice: 10, turn: 7, limit: 8, window: 9, shadow: 10, overflow: 11, lease: 12, halt: 13, status: 14, budget: 15 },
    });
    assert.deepEqual(
      counts.rules.map(({ name, counts: { injected } }) => [name, injected]),
      [
        ['sums/0', 103],
        ['sums/1', 5],
      ],
    );
    assert.deepEqual(
      counts.proxies.map(({ name, counts: { injected }, unasked, uncounted }) => [name, injected, unasked, uncounted]),
      [
        ['proxy-1', 105, 77, 3],
        ['proxy-2', 3, 0, 0],
      ],
    );
    assert.equal(counts.verdict, 'active');
  });

  const refused: readonly { name: string; status: number; body?: string; headers?: Record<string, string> }[] = [
    { name: 'no JSON', status: 400, body: '{"rules":' },
    { name: 'another type', status: 415, body: 'rules: []', headers: { 'content-type': 'application/yaml' } },
    { name: 'a field that is not known', status: 400, body: '{"rules":[],"more":1}' },
    { name: 'a counter that is not known', status: 400, body: `{"rules":[{"key":"${'0'.repeat(16)}","injections":1}]}` },
    { name: 'a negative count', status: 400, body: `{"rules":[{"key":"${'0'.repeat(16)}","injected":-1}]}` },
    { name: 'a count that no number holds', status: 400, body: `{"rules":[{"key":"${'0'.repeat(16)}","injected":1e300}]}` },
    { name: 'a key that is none', status: 400, body: '{"rules":[{"key":"xyz"}]}' },
    { name: 'a prototype', status: 400, body: `{"rules":[{"key":"${'0'.repeat(16)}","__proto__":{"injected":1}}]}` },
    { name: 'too many rules', status: 400, body: JSON.stringify({ rules: Array.from({ length: 1001 }, () => ({ key: '0'.repeat(16) })) }) },
    { name: 'a body of 100 kB', status: 413, body: JSON.stringify({ rules: [], more: 'x'.repeat(100_000) }) },
    { name: 'no epoch', status: 400, headers: { 'x-hfi-epoch': '' } },
    { name: 'an epoch that is none', status: 400, headers: { 'x-hfi-epoch': '../../policies/x' } },
    { name: 'no proxy', status: 400, headers: { 'x-hfi-proxy': '' } },
  ];
  for (const { name, status, body, headers } of refused) {
    it(`with ${name} are refused, and change nothing`, async () => {
      const key = await apply(one, 'refusing');
      const reply = await report(one, [{ key, injected: 1 }], {
        proxy: 'refused',
        ...(body === undefined ? {} : { body }),
        ...(headers === undefined ? {} : { headers }),
      });
      assert.equal(reply.status, status, reply.text);
      assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.deepEqual((await countsOf(one, 'refusing')).proxies, []);
    });
  }

  it('that lie are counted, and leave what is known as it is', async () => {
    const key = await apply(one, 'lies', { selector: { namespace: 'demo' }, ...spec });
    await report(one, [{ key, injected: 5, abort: 5 }]);
    const before = await countsOf(one, 'lies');
    const ignored = async (): Promise<Record<string, number>> =>
      Object.fromEntries(
        await Promise.all(
          ['unknown-rule', 'not-selected', 'beyond-sense', 'smaller'].map(
            async (reason) => [reason, await metric(one, `hfi_reports_ignored_total{reason="${reason}"}`)] as const,
          ),
        ),
      );
    const start = await ignored();
    await report(one, [
      { key: key + 1n, injected: 1 },
      { key: key - 1n, injected: 1 },
    ]);
    await report(one, [{ key, injected: 4 }]);
    await report(one, [{ key, injected: 900_000_000 }]);
    await report(one, [{ key, injected: 1, abort: 2 }]);
    await report(one, [{ key, injected: 1 }], { proxy: 'elsewhere', headers: { 'x-hfi-namespace': 'other' } });
    await report(one, [{ key, injected: 1 }], { proxy: 'nowhere', headers: { 'x-hfi-namespace': '' } });
    const end = await ignored();
    assert.deepEqual(Object.fromEntries(Object.entries(end).map(([reason, count]) => [reason, count - (start[reason] ?? 0)])), {
      'unknown-rule': 2,
      'not-selected': 2,
      'beyond-sense': 2,
      smaller: 1,
    });
    assert.deepEqual((await countsOf(one, 'lies')).total, before.total);
    assert.deepEqual(
      (await countsOf(one, 'lies')).proxies.map(({ name }) => name),
      ['proxy-1'],
    );
  });

  it('names of proxies are no paths', async () => {
    const key = await apply(one, 'names');
    const names = ['a/b', '../../policies/names', '%2e%2e', 'sidecar~1.2.3.4~x.y~y.svc', 'x'.repeat(1000)];
    for (const proxy of names) assert.equal((await report(one, [{ key, injected: 1 }], { proxy })).status, 204);
    await kept('names', names.length);
    assert.deepEqual(
      (await countsOf(one, 'names')).proxies.map(({ name }) => name),
      [...names].sort(),
    );
    assert.equal((await one.ask('GET', '/v1/policies/names')).status, 200);
    await one.kill('SIGKILL');
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
    await until(async () => (await countsOf(one, 'names')).proxies.length === names.length, 'they are read again', 5000);
  });

  it('each count is on the metrics page once, of the first policies by name', async () => {
    const key = await apply(one, 'shown');
    for (const injected of [3, 3, 7, 5]) await report(one, [{ key, injected, abort: injected, dice: 2 }]);
    await report(one, [{ key, injected: 1, abort: 1 }], { proxy: 'proxy-2' });
    await until(async () => (await metric(one, 'hfi_injected_requests_total{policy="shown"}')) === 8, 'all are shown', 5000);
    assert.equal(await metric(one, 'hfi_matches_total{policy="shown"}'), 10);
    assert.equal(await metric(one, 'hfi_injections_total{policy="shown",kind="abort"}'), 8);
    assert.equal(await metric(one, 'hfi_skipped_total{policy="shown",reason="dice"}'), 2);
    assert.equal(await metric(one, 'hfi_injections_total{policy="shown",kind="delay"}'), 0);
  });

  it('of several replicas are one, and each replica knows them', async () => {
    const two = await Replica.start(processes, etcd.url, { replica: 'two' });
    const key = await apply(one, 'both');
    await until(async () => (await two.ask('GET', '/v1/policies/both/counts')).status === 200, 'the other knows the policy');
    // In turn, as a mesh sends them.
    for (let injected = 1; injected <= 20; injected++) {
      for (const proxy of ['a', 'b']) {
        const replica = (injected + proxy.length) % 2 === 0 ? one : two;
        await report(replica, [{ key, injected }], { proxy });
      }
    }
    for (const replica of [one, two]) {
      const counts = await countsOf(replica, 'both');
      assert.deepEqual([counts.total.injected, counts.incomplete], [40, []]);
    }
    await kept('both', 40);
    // Also without being able to ask.
    await until(
      async () => {
        const { body } = await two.ask('GET', '/v1/policies/both/counts?scope=local');
        return (body as unknown as PolicyCounts).total.injected === 40;
      },
      'it was told by etcd',
      5000,
    );
    await until(
      async () => {
        const pages = await Promise.all([one, two].map((replica) => metric(replica, 'hfi_injected_requests_total{policy="both"}')));
        return (pages[0] ?? 0) + (pages[1] ?? 0) === 40;
      },
      'the pages add up',
      5000,
    );
    await two.kill('SIGTERM');
  });

  it('of a change that this replica does not know yet wait for it, and are not taken for unknown', async () => {
    const key = await apply(one, 'ahead');
    const { body } = await one.ask('GET', '/v1/status');
    const { revision } = body.etcd as { revision: number };
    const early = report(one, [{ key, injected: 1 }], { headers: { 'x-hfi-revision': String(revision + 1) } });
    await apply(one, 'behind');
    assert.equal((await early).status, 204);
    const never = await report(one, [{ key, injected: 2 }], { headers: { 'x-hfi-revision': String(revision + 1000) } });
    assert.deepEqual([never.status, never.body.code], [503, 'store-unavailable']);
    assert.equal((await countsOf(one, 'ahead')).total.injected, 1);
  });

  it('survive the kill of all replicas, once they were kept', async () => {
    const key = await apply(one, 'killed');
    for (let i = 0; i < 30; i++) await report(one, [{ key, injected: 10 + i }], { proxy: `p${i}` });
    await kept('killed', 30 * 10 + (29 * 30) / 2);
    await one.kill('SIGKILL');
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
    await until(async () => (await countsOf(one, 'killed')).total.injected === 735, 'they are read', 5000);
    // The proxies go on where they were.
    await report(one, [{ key, injected: 11 }], { proxy: 'p0' });
    assert.equal((await countsOf(one, 'killed')).total.injected, 736);
    assert.equal((await countsOf(one, 'killed')).proxies.length, 30);
  });

  it('survive the orderly end of the only replica, up to the last one', async () => {
    const key = await apply(one, 'ended');
    for (let injected = 1; injected <= 25; injected++) await report(one, [{ key, injected }]);
    await one.kill('SIGTERM');
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
    await until(async () => (await countsOf(one, 'ended')).total.injected === 25, 'they are read', 5000);
  });

  it('of a proxy that is told that it speaks to another start of a replica can be told again', async () => {
    const first = (await report(one, [{ key: 0n }])).headers.get('x-hfi-replica');
    assert.equal((await one.poll()).headers.get('x-hfi-replica'), first);
    assert.match(first ?? '', /^[0-9a-f]{16}$/);
    await one.kill('SIGKILL');
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
    assert.notEqual((await report(one, [{ key: 0n }])).headers.get('x-hfi-replica'), first);
  });

  it('of an earlier process of the proxy and of a later one add up, also over a restart', async () => {
    const key = await apply(one, 'epochs');
    for (let i = 1; i <= 12; i++) {
      await report(one, [{ key, injected: i }], { epoch: i.toString(16).padStart(16, '0') });
      if (i % 4 === 0) {
        await kept('epochs', (i * (i + 1)) / 2 - folded(i));
        await one.kill('SIGKILL');
        one = await Replica.start(processes, etcd.url, { replica: 'one' });
        await until(async () => (await one.ask('GET', '/v1/policies/epochs/counts')).status === 200, 'it knows the policy');
      }
    }
    await until(async () => (await countsOf(one, 'epochs')).total.injected === 78, 'all are there', 5000);
    // What comes late from one that was folded is known.
    await report(one, [{ key, injected: 1 }], { epoch: '1'.padStart(16, '0') });
    assert.equal((await countsOf(one, 'epochs')).total.injected, 78);
  });

  it('are taken while etcd is down, shown, and kept when it is back', async () => {
    const key = await apply(one, 'outage');
    await report(one, [{ key, injected: 1 }]);
    await kept('outage', 1);
    await etcd.kill();
    assert.equal((await report(one, [{ key, injected: 5 }])).status, 204);
    assert.equal((await countsOf(one, 'outage')).total.injected, 5);
    await etcd.start();
    await kept('outage', 5);
    await until(async () => (await metric(one, 'hfi_injected_requests_total{policy="outage"}')) === 5, 'it is counted once', 5000);
  });

  it('end a rule everywhere when the fleet has hit as often as it may, and it stays so after a restart', async () => {
    const key = await apply(one, 'limited', { rules: [{ match: { limit: { fleet: 10 } }, fault }] });
    const wants = async (): Promise<string> => (await one.poll({ name: 'limit-poller', labels: 'app=limited' })).headers.get('etag') ?? '';
    await report(one, [{ key, injected: 6 }], { proxy: 'a' });
    const inForce = await wants();
    await report(one, [{ key, injected: 4 }], { proxy: 'b' });
    const over = await wants();
    assert.notEqual(over, inForce);
    assert.equal((await countsOf(one, 'limited')).rules[0]?.limitReached, true);
    await kept('limited', 10);
    await one.kill('SIGKILL');
    one = await Replica.start(processes, etcd.url, { replica: 'one' });
    for (let i = 0; i < 20; i++) assert.equal(await wants(), over);
  });

  it('of 120 policies the last share a label', async () => {
    for (let i = 0; i < 120; i++) {
      const key = await apply(one, `many-${i}`);
      await report(one, [{ key, injected: 1 }]);
    }
    await until(async () => (await metric(one, 'hfi_injected_requests_total{policy="other"}')) >= 20, 'the others are counted', 10_000);
    const { text } = await one.ask('GET', '/metrics', { role: 'none' });
    const labels = new Set([...text.matchAll(/hfi_injected_requests_total\{policy="([^"]+)"\}/g)].map(([, policy]) => policy));
    assert.ok(labels.size <= 101, `${labels.size} labels`);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** What of the first epochs is not kept apart any more. */
function folded(epochs: number): number {
  const count = Math.max(0, epochs - 8);
  return (count * (count + 1)) / 2;
}
