import assert from 'node:assert/strict';
import type { Answer } from '../../services/control-plane/stop-conditions/answer.ts';
import { Election, type Standing } from '../../services/control-plane/stop-conditions/election.ts';
import { Evaluator } from '../../services/control-plane/stop-conditions/evaluator.ts';
import type { StopMark } from '../../services/control-plane/store/stop-store.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import type { End } from '../../services/policy/lifecycle.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import { FakeTime } from '../support/fake-time.ts';

type Stops = PolicyInput['spec']['stopWhen'];

/** An evaluator in time that stands still, and what it is told and tells. */
class Bench {
  readonly time: FakeTime;
  readonly evaluator: Evaluator;
  /** By query; each takes so many milliseconds. */
  readonly answers = new Map<string, Answer>();
  answerMs = 10;
  readonly asked: { readonly query: string; readonly at: number }[] = [];
  readonly stopped: { readonly policy: string; readonly end: End; readonly at: number }[] = [];
  readonly marks: Map<string, StopMark>;

  constructor(time = new FakeTime(), marks = new Map<string, StopMark>()) {
    this.time = time;
    this.marks = marks;
    const { clock, timers } = time.runtime;
    this.evaluator = new Evaluator({
      runtime: time.runtime,
      intervalMs: 1000,
      prometheus: {
        ask: (query) => {
          this.asked.push({ query, at: clock.elapsed() });
          return new Promise((resolve) =>
            timers.after(this.answerMs, () => resolve(this.answers.get(query) ?? { kind: 'none', why: 'nothing' })),
          );
        },
      },
      store: {
        marks: () => Promise.resolve([...marks.values()]),
        mark: (mark) => {
          if (Object.keys(mark.since).length === 0) marks.delete(mark.policy);
          else marks.set(mark.policy, mark);
          return Promise.resolve(true);
        },
      },
      current: () => undefined,
      stopped: (stored, end) => this.stopped.push({ policy: stored.policy.metadata.name, end, at: clock.elapsed() }),
      note: () => undefined,
    });
  }

  say(query: string, ...values: number[]): void {
    this.answers.set(query, { kind: 'samples', values });
  }

  apply(name: string, stopWhen: Stops, rules: PolicyInput['spec']['rules'] = [{ fault: { abort: { httpStatus: 503 } } }]): StoredPolicy {
    const { now } = this.time;
    const stored = { policy: policy.parse({ metadata: { name }, spec: { stopWhen, rules } }), createdAt: now, appliedAt: now, revision: 1 };
    this.evaluator.change([{ name, before: undefined, after: stored }]);
    return stored;
  }
}

describe('the evaluator of stop conditions', () => {
  it('asks at fixed steps however long answers take, and once more when the time is over', async () => {
    const bench = new Bench();
    bench.answerMs = 300;
    bench.say('q', 1);
    bench.evaluator.start();
    await bench.time.advance(500);
    bench.apply('p', [{ prometheus: 'q', above: 0, for: '2200ms' }]);
    await bench.time.advance(10_000);
    assert.deepEqual(
      bench.asked.map(({ at }) => at),
      [500, 1000, 2000, 2700],
    );
    assert.deepEqual(
      bench.stopped.map(({ policy: name, at }) => [name, at]),
      [['p', 3000]],
    );
  });

  it('asks for a query once at a time, though several policies have it and no answer comes', async () => {
    const bench = new Bench();
    bench.answerMs = 2500;
    bench.apply('p', [{ prometheus: 'q', above: 0, for: '1h' }]);
    bench.apply('o', [{ prometheus: 'q', below: 0, for: '1h' }]);
    bench.evaluator.start();
    await bench.time.advance(6000);
    assert.deepEqual(
      bench.asked.map(({ at }) => at),
      [0, 3000, 6000],
    );
  });

  it('does not wait for another answer of who does not answer', async () => {
    const bench = new Bench();
    bench.answerMs = 1500;
    bench.apply('p', [{ prometheus: 'q', above: 0, for: '2600ms' }]);
    bench.evaluator.start();
    await bench.time.advance(10_000);
    assert.deepEqual(
      bench.stopped.map(({ at }) => at),
      [2600],
    );
  });

  it('takes over since when it held, by the wall clock, and not more than its time', async () => {
    const first = new Bench();
    first.say('q', 1);
    const stored = first.apply('p', [{ injected: 5 }, { prometheus: 'q', above: 0, for: '10s' }]);
    first.evaluator.start();
    await first.time.advance(3000);
    assert.deepEqual(Object.keys(first.marks.get('p')?.since ?? {}), ['1']);
    first.evaluator.stop();
    const second = new Bench(new FakeTime(first.time.now + 4000), first.marks);
    second.say('q', 1);
    second.evaluator.change([{ name: 'p', before: undefined, after: stored }]);
    second.evaluator.start();
    await second.time.advance(2900);
    assert.deepEqual(second.stopped, []);
    await second.time.advance(200);
    assert.equal(second.stopped.length, 1);
  });

  it('a clock that is an hour ahead makes it as old as its time, one that is behind brand-new; neither ends it unasked', async () => {
    for (const [jump, stopsAfter] of [
      [3_600_000, 10],
      [-3_600_000, 10_010],
    ] as const) {
      const first = new Bench();
      first.say('q', 1);
      const stored = first.apply('p', [{ prometheus: 'q', above: 0, for: '10s' }]);
      first.evaluator.start();
      await first.time.advance(3000);
      const second = new Bench(new FakeTime(first.time.now + jump), first.marks);
      second.say('q', 1);
      second.evaluator.change([{ name: 'p', before: undefined, after: { ...stored } }]);
      second.evaluator.start();
      await second.time.advance(20_000);
      assert.deepEqual(
        second.stopped.map(({ at }) => at),
        [stopsAfter],
        `${jump}`,
      );
    }
  });

  it('removes what was kept of runs that are over', async () => {
    const bench = new Bench();
    bench.marks.set('gone', { policy: 'gone', appliedAt: 5, since: { 0: 1 } });
    bench.say('q', 1);
    const stored = bench.apply('p', [{ prometheus: 'q', above: 0, for: '1h' }]);
    bench.evaluator.start();
    await bench.time.advance(1500);
    assert.deepEqual([...bench.marks.keys()], ['p']);
    bench.evaluator.change([{ name: 'p', before: stored, after: undefined }]);
    await bench.time.advance(0);
    assert.deepEqual([...bench.marks.keys()], []);
  });

  it('an answer that comes when another one evaluates, or the policy was applied again, ends nothing', async () => {
    const bench = new Bench();
    bench.say('q', 1);
    bench.answerMs = 500;
    bench.apply('p', [{ prometheus: 'q', above: 0, for: '0s' }]);
    bench.evaluator.start();
    await bench.time.advance(100);
    bench.evaluator.stop();
    await bench.time.advance(5000);
    assert.deepEqual(bench.stopped, []);
    bench.evaluator.start();
    await bench.time.advance(100);
    bench.apply('p', [{ prometheus: 'other', above: 0, for: '0s', onNoData: 'ignore' }]);
    await bench.time.advance(5000);
    assert.deepEqual(bench.stopped, []);
  });
});

describe('the election of who evaluates', () => {
  /** etcd as the election sees it; undefined = it doesn't answer. */
  function elected(time: FakeTime, able: boolean) {
    const seen: [number, Standing][] = [];
    const etcd: { holder: string | undefined } = { holder: '' };
    let needed = true;
    const election = new Election({
      runtime: time.runtime,
      replica: 'me',
      able,
      needed: () => needed,
      changed: (standing) => seen.push([time.runtime.clock.elapsed(), standing]),
      note: () => undefined,
      store: {
        elect: (_replica, eager) => {
          if (etcd.holder === undefined) return Promise.reject(new Error('etcd does not answer'));
          if (etcd.holder === '' && eager) etcd.holder = 'me';
          return Promise.resolve({ own: etcd.holder === 'me', name: etcd.holder });
        },
        leave: () => {
          if (etcd.holder === 'me') etcd.holder = '';
          return Promise.resolve();
        },
      },
    });
    return { seen, etcd, election, need: (is: boolean) => (needed = is) };
  }

  it('takes a free place at once, and gives it free when nothing is left to evaluate', async () => {
    const time = new FakeTime();
    const { seen, etcd, election, need } = elected(time, true);
    election.needed();
    await time.advance(0);
    await time.advance(500);
    assert.deepEqual([seen, etcd.holder], [[[0, 'own']], 'me']);
    need(false);
    await time.advance(2000);
    assert.deepEqual([seen.at(-1)?.[1], etcd.holder], ['other', '']);
  });

  it('one that has no Prometheus leaves the place to others for five seconds', async () => {
    const time = new FakeTime();
    const { seen, etcd, election } = elected(time, false);
    election.needed();
    await time.advance(0);
    await time.advance(4900);
    assert.deepEqual([seen, etcd.holder], [[], '']);
    etcd.holder = 'another';
    await time.advance(10_000);
    etcd.holder = '';
    await time.advance(4500);
    assert.deepEqual(seen, []);
    await time.advance(2000);
    assert.equal(seen.at(-1)?.[1], 'own');
  });

  it('without etcd it stays the evaluator, or becomes one after three seconds, until etcd says otherwise', async () => {
    const time = new FakeTime();
    const { seen, etcd, election } = elected(time, true);
    etcd.holder = 'another';
    election.needed();
    await time.advance(0);
    await time.advance(1500);
    etcd.holder = undefined;
    await time.advance(2000);
    assert.equal(seen.length, 0);
    await time.advance(2000);
    assert.deepEqual(seen.at(-1), [4000, 'alone']);
    etcd.holder = 'another';
    await time.advance(1000);
    assert.equal(seen.at(-1)?.[1], 'other');
    etcd.holder = '';
    await time.advance(1000);
    etcd.holder = undefined;
    await time.advance(10_000);
    assert.equal(seen.at(-1)?.[1], 'own');
    etcd.holder = 'another';
    await time.advance(1000);
    assert.equal(seen.at(-1)?.[1], 'other');
  });
});
