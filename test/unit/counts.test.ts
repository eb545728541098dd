import assert from 'node:assert/strict';
import { Counts, type Ignored, KEEP_GONE_MS, type Report } from '../../services/control-plane/counts/counts.ts';
import type { Run } from '../../services/control-plane/counts/run.ts';
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
  fresh = true;
  readonly counts: Counts;
  #revision = 1;

  constructor(most?: ConstructorParameters<typeof Counts>[2]) {
    const events = {
      grew: (run: Run, proxy: string) => void this.grew.push(`${run.policy} ${proxy}`),
      spent: (name: string) => void this.spent.push(name),
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
      lease: '0',
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
