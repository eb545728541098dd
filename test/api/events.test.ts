import assert from 'node:assert/strict';
import { runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { report } from '../support/report.ts';

const fault = { abort: { httpStatus: 503 } };

interface Told {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One who watches. */
class Watcher {
  readonly told: Told[] = [];
  /** Ids and signs of life, as they came. */
  text = '';
  ended = false;
  readonly #leaving = new AbortController();

  static async at(replica: Replica, last?: string): Promise<Watcher> {
    const watcher = new Watcher();
    const answer = await fetch(`${replica.url}/v1/events`, {
      headers: { authorization: `Bearer ${TOKENS.viewer}`, ...(last === undefined ? {} : { 'last-event-id': last }) },
      signal: watcher.#leaving.signal,
    });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
    void watcher.#read(answer);
    await until(async () => watcher.text !== '', 'the stream begins');
    return watcher;
  }

  async #read(answer: Response): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const bytes of answer.body ?? []) {
        this.text += decoder.decode(bytes as Uint8Array, { stream: true });
        this.told.splice(0, this.told.length, ...this.text.split('\n\n').slice(0, -1).flatMap(parsed));
      }
    } catch {
      // Left.
    }
    this.ended = true;
  }

  of(what: string): Told[] {
    return this.told.filter(({ data }) => data.what === what);
  }

  leave(): void {
    this.#leaving.abort();
  }
}

function parsed(text: string): Told[] {
  const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(text)?.[1] ?? '';
  return field('data') === '' ? [] : [{ event: field('event'), id: field('id'), data: JSON.parse(field('data')) as Told['data'] }];
}

describe('api: GET /v1/events', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let replica: Replica;
  let other: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    [replica, other] = await Promise.all([Replica.start(processes, etcd.url), Replica.start(processes, etcd.url)]);
  });
  after(() => processes?.end());

  it('tells on every replica what becomes of a policy', async () => {
    const watchers = await Promise.all([replica, other].map((one) => Watcher.at(one)));
    await replica.put('p', { selector: { namespace: 'demo' }, rules: [{ fault }] });
    await replica.put('p', { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 504 } } }] });
    await replica.ask('DELETE', '/v1/policies/p');
    for (const watcher of watchers) {
      await until(async () => watcher.of('deleted').length === 1, 'all is told');
      const told = watcher.told.filter(({ event }) => event === 'policy').map(({ data }) => [data.what, data.policy, data.namespace]);
      assert.deepEqual(told, [
        ['created', 'p', 'demo'],
        ['replaced', 'p', 'demo'],
        ['deleted', 'p', 'demo'],
      ]);
      watcher.leave();
    }
  });

  it('tells that a policy has ended and why, and 5 s later that it hit nothing', async () => {
    const watcher = await Watcher.at(replica);
    const of = (what: string, policy: string): unknown[] =>
      watcher.of(what).flatMap(({ data }) => (data.policy === policy ? [data.message] : []));
    await replica.put('short', { rules: [{ fault: { ...fault, duration_seconds: 1 } }] });
    const deleted = await replica.put('gone', { selector: { namespace: 'demo' }, rules: [{ fault }], stopWhen: [{ injected: 5 }] });
    const { appliedAt } = (deleted.body.policy as { metadata: { appliedAt: string } }).metadata;
    await until(async () => watcher.of('created').length === 2, 'both are there');
    await report(replica, [{ key: runKey('gone', Date.parse(appliedAt)), injected: 6 }]);
    await until(async () => of('ended', 'short').length === 1 && of('ended', 'gone').length === 1, 'both have ended');
    assert.deepEqual(of('ended', 'short'), ['policy/short has ended: expired, the time of its last rule was over']);
    assert.deepEqual(of('ended', 'gone'), ['policy/gone has ended: stopped, 6 requests were hit, and stopWhen says 5']);
    await replica.ask('DELETE', '/v1/policies/gone');
    await until(async () => of('result', 'short').length === 1 && of('result', 'gone').length === 1, 'the results are told', 15_000);
    assert.deepEqual(of('result', 'short'), ['policy/short is INCONCLUSIVE: it hit no request']);
    assert.deepEqual(of('result', 'gone'), ['policy/gone hit 6 requests']);
    assert.deepEqual(of('deleted', 'gone'), [], 'what has ended is not deleted once more');
    watcher.leave();
  });

  it('tells what came of a policy that was deleted, or applied anew, too', async () => {
    const watcher = await Watcher.at(other);
    await other.put('again', { rules: [{ fault }] });
    await other.put('again', { rules: [{ fault }], priority: 1 });
    await other.ask('DELETE', '/v1/policies/again');
    const results = (): unknown[] => watcher.of('result').filter(({ data }) => data.policy === 'again');
    await until(async () => results().length === 2, 'both results are told', 15_000);
    watcher.leave();
  });

  it('tells how the proxies stand', async () => {
    const watcher = await Watcher.at(replica);
    const first = await replica.poll({ name: 'proxy-of-events' });
    await replica.poll({ name: 'proxy-of-events', has: first.headers.get('etag') ?? '' });
    await until(async () => watcher.told.some(({ data }) => data.connected === 1 && data.current === 1), 'it is told');
    watcher.leave();
  });

  it('tells on every replica what is halted, by whom and why, and that it goes on', async () => {
    const watchers = await Promise.all([replica, other].map((one) => Watcher.at(one)));
    await replica.ask('POST', '/v1/halt', { body: { namespace: 'shop', reason: 'the shop is on fire' } });
    for (const watcher of watchers) await until(async () => watcher.of('halted').length === 1, 'the halt is told');
    await replica.ask('POST', '/v1/halt', { body: { namespace: 'shop', reason: 'again' } });
    // The other replica is told of it, and finds that it is halted already.
    await until(async () => (await other.ask('GET', '/v1/halt')).text.includes('fire'), 'the other knows');
    await replica.ask('DELETE', '/v1/halt?namespace=shop');
    for (const watcher of watchers) {
      await until(async () => watcher.of('resumed').length === 1, 'all is told');
      const told = watcher.told.filter(({ event }) => event === 'halt').map(({ data }) => [data.what, data.namespace, data.message]);
      assert.deepEqual(told, [
        ['halted', 'shop', 'namespace shop is halted by the-admin: the shop is on fire'],
        ['resumed', 'shop', 'namespace shop goes on'],
      ]);
      watcher.leave();
    }
  });

  it('goes on behind the last one that was heard, and says when that is not possible', async () => {
    const watcher = await Watcher.at(replica);
    await replica.put('a', { rules: [{ fault }] });
    await until(async () => watcher.of('created').length === 1, 'it is told');
    watcher.leave();
    await replica.put('b', { rules: [{ fault }] });
    const again = await Watcher.at(replica, watcher.of('created')[0]?.id);
    await until(async () => again.of('created').length === 1, 'what was missed comes');
    assert.equal(again.of('created')[0]?.data.policy, 'b');
    assert.ok(!again.told.some(({ event }) => event === 'gap'));
    again.leave();
    const elsewhere = await Watcher.at(other, watcher.of('created')[0]?.id);
    await until(async () => elsewhere.told.some(({ event }) => event === 'gap'), 'the gap is told');
    elsewhere.leave();
  });

  it('ends when the replica does, and nothing is told of what was there before', async () => {
    const third = await Replica.start(processes, etcd.url);
    const watcher = await Watcher.at(third);
    const began = performance.now();
    await third.kill('SIGTERM');
    await until(async () => watcher.ended, 'the stream ends');
    // Answers under way are given 5 s.
    assert.ok(performance.now() - began < 4000, 'nobody waits for those who watch');
    assert.deepEqual(
      watcher.told.filter(({ event }) => event === 'policy'),
      [],
    );
  });
});
