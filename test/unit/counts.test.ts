import assert from 'node:assert/strict';
import { Counts, type Ignored, KEEP_GONE_MS, type Report } from '../../services/control-plane/counts/counts.ts';
import { fromValue } from '../../services/control-plane/counts/proxy-counts.ts';
import { GONE, type Run } from '../../services/control-plane/counts/run.ts';
import { partsOf, shownRun } from '../../services/control-plane/counts/shown.ts';
import { hits, summed, type Tally } from '../../services/control-plane/counts/tally.ts';
import { ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';

const identity = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend' } };
const fault = { abort: { httpStatus: 503 } };
const EPOCH = '00000000000000aa';

class Case {
  readonly runtime = new HandDrivenRuntime();
  readonly ignored: Ignored[] = [];
  readonly spent: string[] = [];
  readonly grew: string[] = [];
  readonly over: Run[] = [];
  readonly stopped: [name: string, hits: number, limit: number][] = [];
  fresh = true;
  readonly counts: Counts;
  #revision = 1;

  constructor(most?: ConstructorParameters<typeof Counts>[2]) {
    const events = {
      grew: (run: Run, proxy: string) => void this.grew.push(`${run.policy} ${proxy}`),
      spent: (name: string) => void this.spent.push(name),
      stopped: ({ policy: { metadata } }: StoredPolicy, all: number, limit: number) => void this.stopped.push([metadata.name, all, limit]),
      ignored: (reason: Ignored) => void this.ignored.push(reason),
      fresh: () => this.fresh,
      over: (run: Run) => void this.over.push(run),
    };
    this.counts = new Counts(this.runtime, events, most);
  }

  apply(name: string, spec: PolicyInput['spec'], chosen?: readonly string[]): StoredPolicy {
    const now = this.runtime.clock.now();
    const before = this.counts.current(name)?.stored;
    const after = {
      policy: policy.parse({ metadata: { name }, spec }),
      createdAt: now,
      appliedAt: now,
      revision: this.#revision++,
      chosen,
    };
    this.counts.change([{ name, before, after }]);
    return after;
  }

  remove(name: string): void {
    this.counts.change([{ name, before: this.counts.current(name)?.stored, after: undefined }]);
  }

  report({ policy: { metadata }, appliedAt }: StoredPolicy, tally: Tally, more: Partial<Report> & { readonly rule?: number } = {}): void {
    const { rule = 0, ...rest } = more;
    this.counts.report({
      proxy: 'a',
      identity,
      epoch: EPOCH,
      rules: [{ key: ruleKey(runKey(metadata.name, appliedAt), rule), tally }],
      ...rest,
    });
  }

  total(name: string): Tally {
    return summed(this.counts.current(name)?.totals ?? new Map());
  }
}

const one = { rules: [{ fault }] };

describe('counts of the fleet', () => {
  it('are of the rule and the run whose key a report names', () => {
    const c = new Case();
    const first = c.apply('p', { rules: [{ fault }, { fault }] });
    c.report(first, { injected: 2 }, { rule: 1 });
    c.runtime.advance(5);
    const second = c.apply('p', { rules: [{ fault }], priority: 1 });
    c.report(second, { injected: 5 });
    c.report(first, { injected: 3 }, { rule: 1 });
    assert.deepEqual(c.total('p'), { injected: 5 });
    assert.deepEqual([...c.counts.run('p', first.appliedAt).totals], [[1, { injected: 3 }]]);
    assert.deepEqual(c.ignored, []);
  });

  it('do not grow by what comes twice, or late', () => {
    const c = new Case();
    const p = c.apply('p', one);
    for (const injected of [5, 5, 7, 5]) c.report(p, { injected });
    assert.deepEqual(c.total('p'), { injected: 7 });
    assert.deepEqual(c.ignored, ['smaller']);
    assert.deepEqual(c.grew, ['p a', 'p a']);
  });

  const rows: readonly { name: string; reason: Ignored; report: (c: Case, p: StoredPolicy) => void }[] = [
    { name: 'a rule that the policy does not have', reason: 'unknown-rule', report: (c, p) => c.report(p, { injected: 1 }, { rule: 1 }) },
    {
      name: 'a policy that is not there',
      reason: 'unknown-rule',
      report: (c, p) => c.report({ ...p, appliedAt: p.appliedAt - 1 }, { injected: 1 }),
    },
    {
      name: 'a policy of others',
      reason: 'not-selected',
      report: (c, p) => c.report(p, { injected: 1 }, { identity: { ...identity, namespace: 'other' } }),
    },
    {
      name: 'a policy, without an identity',
      reason: 'not-selected',
      report: (c, p) => c.report(p, { injected: 1 }, { identity: undefined }),
    },
    { name: 'more than can have been counted', reason: 'beyond-sense', report: (c, p) => c.report(p, { dice: 61_000_000 }) },
    { name: 'more faults of a kind than requests', reason: 'beyond-sense', report: (c, p) => c.report(p, { injected: 2, abort: 3 }) },
    {
      name: 'of more processes than a proxy can have had',
      reason: 'no-room',
      report: (c, p) => {
        for (let i = 0; i < 17; i++) c.report(p, { injected: 1 }, { epoch: `00000000000000${i.toString(16).padStart(2, '0')}` });
      },
    },
  ];
  for (const { name, reason, report } of rows) {
    it(`leave out what is told of ${name}`, () => {
      const c = new Case();
      const p = c.apply('p', { selector: { namespace: 'demo' }, ...one });
      c.report(p, { injected: 1, abort: 1 }, { proxy: 'honest' });
      report(c, p);
      assert.deepEqual(c.ignored, [reason]);
      assert.deepEqual(c.counts.current('p')?.proxies.get('honest')?.counts.epochs.get(EPOCH)?.get(0), { injected: 1, abort: 1 });
      assert.equal(c.total('p').injected, reason === 'no-room' ? 17 : 1);
    });
  }

  it('leave out what is told of a policy by a proxy that guardrails did not choose for it', () => {
    const c = new Case();
    const p = c.apply('p', one, ['a', 'b']);
    for (const proxy of ['a', 'c', 'b']) c.report(p, { injected: 2 }, { proxy });
    assert.deepEqual([c.total('p'), c.ignored], [{ injected: 4 }, ['not-selected']]);
    assert.ok(!c.counts.current('p')?.proxies.has('c'));
  });

  it('of a run that is replaced or deleted are known for a while, then forgotten, and swept', () => {
    const c = new Case();
    const first = c.apply('p', one);
    c.report(first, { injected: 1 });
    c.runtime.advance(1000);
    c.apply('p', { ...one, priority: 1 });
    c.remove('p');
    c.report(first, { injected: 2 });
    assert.deepEqual(c.ignored, []);
    c.runtime.advance(KEEP_GONE_MS - 1000);
    assert.equal([...c.counts.runs].length, 2);
    c.fresh = false;
    c.runtime.advance(KEEP_GONE_MS);
    assert.equal([...c.counts.runs].length, 2, 'while nobody knows the policies nothing is forgotten');
    c.fresh = true;
    c.runtime.advance(60_000);
    assert.equal([...c.counts.runs].length, 0);
    assert.equal(c.over.length, 2);
    c.report(first, { injected: 3 });
    assert.deepEqual(c.ignored, ['unknown-rule']);
  });

  it('of a run in force are never forgotten', () => {
    const c = new Case();
    const p = c.apply('p', one);
    c.report(p, { injected: 1 });
    c.runtime.advance(10 * KEEP_GONE_MS);
    c.report(p, { injected: 2 });
    assert.deepEqual(c.total('p'), { injected: 2 });
    assert.deepEqual(c.over, []);
  });

  it('end a rule when the fleet has hit as often as it may, once they are known at all', () => {
    const c = new Case();
    const p = c.apply('p', { rules: [{ match: { limit: { fleet: 10 } }, fault }, { fault }] });
    assert.deepEqual([...c.counts.over(p)], [0], 'not before what etcd has is known');
    c.counts.listed(() => true);
    assert.deepEqual([[...c.counts.over(p)], c.spent], [[], ['p']]);
    c.report(p, { injected: 6 });
    c.report(p, { injected: 3 }, { proxy: 'b' });
    c.report(p, { injected: 50 }, { rule: 1 });
    assert.deepEqual([...c.counts.over(p)], []);
    c.report(p, { injected: 4 }, { proxy: 'b' });
    assert.deepEqual([[...c.counts.over(p)], c.spent], [[0], ['p', 'p']]);
    c.report(p, { injected: 7 });
    assert.deepEqual(c.spent, ['p', 'p']);
  });

  it('tell how many a second, over the last ten', () => {
    const c = new Case();
    const p = c.apply('p', one);
    const rate = (): number => {
      const run = c.counts.current('p');
      return run === undefined ? Number.NaN : shownRun(p, partsOf(run, c.runtime.clock.elapsed()), c.runtime.clock.now()).perSecond;
    };
    for (let i = 1; i <= 30; i++) {
      c.runtime.advance(1000);
      c.report(p, { injected: i * 5 });
      c.report(p, { injected: i * 2 }, { proxy: 'b' });
    }
    assert.equal(rate(), 7);
    for (const { samples } of c.counts.current('p')?.proxies.values() ?? [])
      assert.ok(samples.length <= 12, 'no more is kept than is needed');
    c.runtime.advance(5000);
    assert.equal(rate(), 3.5);
    c.runtime.advance(6000);
    assert.equal(rate(), 0);
    assert.equal(hits(c.total('p')), 210);
  });

  it('say of a policy that has ended whether it did anything', () => {
    const c = new Case();
    const p = c.apply('p', { rules: [{ fault: { ...fault, duration_seconds: 10 } }] });
    const verdict = (): string => {
      const run = c.counts.current('p');
      return run === undefined ? 'none' : shownRun(p, partsOf(run, c.runtime.clock.elapsed()), c.runtime.clock.now()).verdict;
    };
    assert.equal(verdict(), 'active');
    c.runtime.advance(10_000);
    assert.equal(verdict(), 'settling');
    c.runtime.advance(5000);
    assert.equal(verdict(), 'inconclusive');
    c.report(p, { dice: 5 });
    assert.equal(verdict(), 'inconclusive');
    c.report(p, { injected: 1, dice: 5 });
    assert.equal(verdict(), 'effective');
  });

  it('say of a policy that was ended before its time what came of it since then', () => {
    const c = new Case();
    const p = c.apply('p', { rules: [{ fault: { ...fault, duration_seconds: 3600 } }] });
    const by = { name: 'hfi', role: 'control-plane' };
    const ended = { ...p, ended: { at: c.runtime.clock.now(), reason: 'stopped', why: '', by } } as const;
    const verdict = (): string => shownRun(ended, partsOf(c.counts.run('p', p.appliedAt), 0), c.runtime.clock.now()).verdict;
    assert.equal(verdict(), 'settling');
    c.runtime.advance(5000);
    assert.equal(verdict(), 'inconclusive');
    c.report(p, { shadow: 1 });
    assert.equal(verdict(), 'effective');
  });

  it('say of a run that is over what it did in all, for as long as it is known', () => {
    const c = new Case();
    const p = c.apply('p', { rules: [{ fault }, { fault }] });
    c.report(p, { injected: 2, dice: 1 });
    c.report(p, { injected: 3, abort: 3 }, { rule: 1 });
    c.remove('p');
    const none = c.apply('none', one);
    c.remove('none');
    c.report(p, { injected: 4, dice: 1 });
    const now = c.runtime.clock.now();
    const result = c.counts.result('p', p.appliedAt, now);
    assert.deepEqual([result?.verdict, result?.total.matched, result?.total.injected, result?.total.kinds.abort], ['effective', 8, 7, 3]);
    assert.equal(c.counts.result('none', none.appliedAt, now)?.verdict, 'inconclusive');
    // Applied before this replica began, and nobody counted anything.
    assert.equal(c.counts.result('before', now - 1000, now)?.verdict, 'inconclusive');
    c.runtime.advance(700_000);
    assert.equal(c.counts.result('p', p.appliedAt, now), null, 'swept, so it must not say that there was nothing');
  });

  it('stop a policy whose rules have hit as many together as stopWhen says', () => {
    const c = new Case();
    const p = c.apply('p', { rules: [{ fault }, { fault }], stopWhen: [{ injected: 9 }, { injected: 5 }] });
    assert.deepEqual([...c.counts.over(p)], [0, 1], 'not before what was counted earlier is known');
    c.counts.listed(() => true);
    assert.deepEqual([...c.counts.over(p)], []);
    c.report(p, { injected: 2 });
    c.report(p, { shadow: 2 }, { rule: 1, proxy: 'b' });
    assert.deepEqual([c.stopped, [...c.counts.over(p)]], [[], []]);
    c.report(p, { injected: 4 });
    c.report(p, { injected: 7 });
    assert.deepEqual([c.stopped, [...c.counts.over(p)]], [[['p', 6, 5]], [0, 1]]);
    // Whatever of it changes, until its end is written.
    c.counts.change([{ name: 'p', before: p, after: p }]);
    assert.deepEqual(c.stopped[1], ['p', 9, 5]);
    const by = { name: 'hfi', role: 'control-plane' };
    c.counts.change([{ name: 'p', before: p, after: { ...p, ended: { at: 0, reason: 'stopped', why: '', by } } }]);
    assert.equal(c.stopped.length, 2);
    c.runtime.advance(5);
    const again = c.apply('p', { rules: [{ fault }], stopWhen: [{ injected: 5 }] });
    assert.deepEqual([c.stopped.length, [...c.counts.over(again)]], [2, []], 'another apply begins anew');
  });

  it('stop a policy by what is read from etcd too, and by what is left when its proxies are gone', () => {
    const c = new Case();
    c.counts.listed(() => true);
    const p = c.apply('p', { rules: [{ fault }, { fault }], stopWhen: [{ injected: 9 }] });
    const key = { policy: 'p', appliedAt: p.appliedAt };
    const counts = (injected: number) => fromValue({ epochs: { [EPOCH]: { 0: { injected, dice: 2 }, 1: { injected: 1 } } } });
    c.report(p, { injected: 3 });
    c.counts.take({ key: { ...key, proxy: 'a' }, counts: counts(5), revision: 1, by: '' });
    const all = (): (number | undefined)[] => [c.counts.current('p')?.hits, hits(c.total('p'))];
    assert.deepEqual(all(), [6, 6]);
    c.counts.take({ key: { ...key, proxy: GONE }, counts: counts(5), revision: 2, by: '' });
    c.counts.drop({ ...key, proxy: 'a' });
    assert.deepEqual([all(), c.stopped], [[6, 6], []]);
    c.counts.take({ key: { ...key, proxy: 'b' }, counts: counts(2), revision: 3, by: '' });
    assert.deepEqual([all(), c.stopped], [[9, 9], [['p', 9, 9]]]);
    const restarted = new Case();
    restarted.counts.change([{ name: 'p', before: undefined, after: p }]);
    restarted.counts.take({ key: { ...key, proxy: GONE }, counts: counts(8), revision: 3, by: '' });
    restarted.counts.listed(() => true);
    assert.deepEqual([restarted.stopped, restarted.spent, [...restarted.counts.over(p)]], [[['p', 9, 9]], ['p'], [0, 1]]);
  });

  it('stop a policy also when a rule had reached its own limit before', () => {
    const c = new Case();
    c.counts.listed(() => true);
    const p = c.apply('p', { rules: [{ match: { limit: { fleet: 2 } }, fault }], stopWhen: [{ injected: 3 }] });
    c.report(p, { injected: 2 });
    assert.deepEqual(c.stopped, []);
    c.report(p, { injected: 3 });
    assert.deepEqual(c.stopped, [['p', 3, 3]]);
  });

  it('stay bounded, however many proxies and runs there are said to be', () => {
    const c = new Case({ known: 100, gone: 20, proxies: 30 });
    const p = c.apply('p', one);
    for (let i = 0; i < 110; i++) c.report(p, { injected: 1 }, { proxy: `made-up-${i}` });
    assert.equal(c.ignored.length, 10);
    assert.equal(c.counts.current('p')?.proxies.size, 100);
    for (let i = 0; i < 60; i++) {
      c.runtime.advance(1);
      c.apply('q', { ...one, priority: i });
      c.counts.report({ proxy: `made-up-${i}`, identity, epoch: EPOCH, rules: [{ key: 0n, tally: { dice: 1 } }] });
    }
    assert.equal([...c.counts.runs].length, 21, 'two of them in force');
    assert.equal(c.over.length, 40);
    assert.equal(c.total('p').injected, 100);
    assert.equal([...Array(60).keys()].filter((i) => c.counts.ofNoRule(`made-up-${i}`) !== undefined).length, 30);
  });
});
