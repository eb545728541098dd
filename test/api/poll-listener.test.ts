import assert from 'node:assert/strict';
import { LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

/** Polls go past Hono, unless there is a query, which no proxy sends. Both ways must tell the same. */
const DOORS = ['/v1/ruleset', '/v1/ruleset?'] as const;

const hello = { 'x-hfi-proxy': 'proxy-1', 'x-hfi-namespace': 'demo', 'x-hfi-workload': 'frontend-v1', 'x-hfi-labels': 'app=frontend' };
const layout = { 'x-hfi-layout': String(LAYOUT_VERSION) };

interface Case {
  readonly name: string;
  readonly status: number;
  readonly ask: Parameters<Replica['ask']>[2];
}

const cases: readonly Case[] = [
  { name: 'without a token', status: 401, ask: { role: 'none', headers: hello } },
  { name: 'with what is no bearer token', status: 401, ask: { role: 'none', headers: { ...hello, authorization: 'Basic abc' } } },
  { name: 'with a token that is not known', status: 401, ask: { role: 'none', headers: { ...hello, authorization: 'Bearer nobodys' } } },
  { name: "with a viewer's token", status: 403, ask: { role: 'viewer', headers: hello } },
  { name: 'that does not say which proxy it is', status: 400, ask: { role: 'proxy' } },
  { name: 'of a proxy with too long a name', status: 400, ask: { role: 'proxy', headers: { ...hello, 'x-hfi-proxy': 'x'.repeat(1025) } } },
  { name: 'of a filter that reads another layout', status: 409, ask: { role: 'proxy', headers: { ...hello, 'x-hfi-layout': '1' } } },
  { name: 'of a proxy that has nothing', status: 200, ask: { role: 'proxy', headers: { ...hello, ...layout } } },
  { name: 'of an administrator', status: 200, ask: { role: 'admin', headers: { ...hello, ...layout } } },
];

/** What is the same at any moment, and for any connection. */
function lasting({ status, headers, text }: Reply): unknown {
  const kept = [...headers].filter(([name]) => !['date', 'x-hfi-time', 'connection', 'keep-alive'].includes(name));
  return { status, headers: Object.fromEntries(kept), text };
}

describe('API: polls past Hono, and through it', () => {
  let processes: Processes;
  let replica: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url);
    await replica.put('some', { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => processes.end());

  for (const { name, status, ask } of cases) {
    it(`a poll ${name} is answered alike`, async () => {
      const [past, through] = [await replica.ask('GET', DOORS[0], ask), await replica.ask('GET', DOORS[1], ask)];
      assert.equal(past.status, status, past.text);
      assert.deepEqual(lasting(past), lasting(through));
    });
  }

  it('a poll of a proxy that has it already is answered alike, after the same wait', async () => {
    const first = await replica.ask('GET', DOORS[0], { role: 'proxy', headers: { ...hello, ...layout } });
    const headers = { ...hello, ...layout, 'if-none-match': first.headers.get('etag') ?? '', prefer: 'wait=1' };
    const answers: Reply[] = [];
    for (const door of DOORS) {
      const begun = performance.now();
      answers.push(await replica.ask('GET', door, { role: 'proxy', headers }));
      const ms = performance.now() - begun;
      assert.ok(ms > 990 && ms < 1500, `${door} took ${ms} ms`);
    }
    assert.equal(answers[0]?.status, 304);
    assert.deepEqual(lasting(answers[0] as Reply), lasting(answers[1] as Reply));
  });

  it('both are counted as answers of the same route', async () => {
    const counted = async (): Promise<number> => {
      const { text } = await replica.ask('GET', '/metrics', { role: 'none' });
      return Number(/hfi_http_requests_total\{method="GET",route="\/v1\/ruleset",status="403"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await counted();
    for (const door of DOORS) await replica.ask('GET', door, { role: 'viewer', headers: hello });
    assert.equal((await counted()) - before, 2);
  });

  it('other methods and other paths are answered by Hono', async () => {
    assert.equal((await replica.ask('POST', '/v1/ruleset', { role: 'proxy' })).status, 405);
    assert.equal((await replica.ask('GET', '/v1/rulesets', { role: 'proxy' })).status, 404);
  });
});
