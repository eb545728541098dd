import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  EVENTS,
  isOver,
  type LifecycleEvent,
  ownEnd,
  PHASES,
  type Phase,
  phaseAfter,
  phaseAt,
  type Run,
  TRANSITIONS,
} from '../../services/policy/lifecycle.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';

const abort = { httpStatus: 503 };
const APPLIED = Date.parse('2026-01-01T00:00:00Z');

interface Shape {
  /** Seconds from the apply on; undefined = none. */
  readonly window?: { readonly start?: number; readonly end?: number };
  readonly duration?: number;
  readonly lease?: string;
}

function run(rules: readonly Omit<Shape, 'lease'>[], lease?: string, more: Partial<Run> = {}): Run {
  const at = (seconds: number): string => new Date(APPLIED + seconds * 1000).toISOString();
  const spec: PolicyInput['spec'] = {
    ...(lease === undefined ? {} : { lease }),
    rules: rules.map(({ window: { start, end } = {}, duration = 0 }) => ({
      ...(start === undefined && end === undefined
        ? {}
        : { match: { window: { ...(start === undefined ? {} : { start: at(start) }), ...(end === undefined ? {} : { end: at(end) }) } } }),
      fault: { abort, duration_seconds: duration },
    })),
  };
  return { policy: policy.parse({ metadata: { name: 'p' }, spec }), appliedAt: APPLIED, ...more };
}

const after = (seconds: number): number => APPLIED + seconds * 1000;

describe("a policy's life", () => {
  it('has a table in which every phase can be reached and ended is the end', () => {
    const reached = new Set<Phase>(['scheduled']);
    for (let size = 0; size !== reached.size; ) {
      size = reached.size;
      for (const phase of [...reached]) for (const next of Object.values(TRANSITIONS[phase])) reached.add(next);
    }
    assert.deepEqual([...reached].sort(), Object.keys(PHASES).sort());
    assert.deepEqual(TRANSITIONS.ended, {});
  });

  it('has a table in which every way goes on, and none back', () => {
    const order = Object.keys(PHASES);
    for (const [from, ways] of Object.entries(TRANSITIONS)) {
      for (const to of Object.values(ways)) assert.ok(order.indexOf(to) > order.indexOf(from), `${from} to ${to}`);
    }
  });

  it('refuses what the table does not have', () => {
    for (const phase of Object.keys(PHASES) as Phase[]) {
      for (const event of Object.keys(EVENTS) as LifecycleEvent[]) {
        const next = TRANSITIONS[phase][event];
        if (next !== undefined) assert.equal(phaseAfter(phase, event), next);
        else assert.throws(() => phaseAfter(phase, event), new RangeError(`a run that is ${phase} can not have the event ${event}`));
      }
    }
  });

  const ended = { at: after(50), reason: 'deleted', why: 'it was deleted' } as const;
  const rows: readonly [string, Run, number, number, Phase][] = [
    ['without a window it is active from the apply on', run([{}]), 0, 0, 'active'],
    ['with one that opens later it is scheduled until then', run([{ window: { start: 10 } }]), 9.999, 0, 'scheduled'],
    ['and active from then on', run([{ window: { start: 10 } }]), 10, 0, 'active'],
    ['one rule that is open is enough', run([{ window: { start: 10 } }, {}]), 0, 0, 'active'],
    ['over and not written, it is ending', run([{ duration: 10 }]), 10, 0, 'ending'],
    ['to the millisecond', run([{ duration: 10 }]), 9.999, 0, 'active'],
    ['a window that closes ends it too', run([{ window: { end: 10 } }]), 10, 0, 'ending'],
    ['a rule that goes on keeps it', run([{ duration: 10 }, {}]), 1e6, 0, 'active'],
    ['written, while a proxy is behind, it is ending', run([{}], undefined, { ended }), 60, 1, 'ending'],
    ['and ended when none is', run([{}], undefined, { ended }), 60, 0, 'ended'],
    ['ended before it began', run([{ window: { start: 100 } }], undefined, { ended }), 200, 0, 'ended'],
    ['a run without a lease needs nobody', run([{}]), 1e6, 0, 'active'],
    ['a lease that nobody renewed ends it', run([{}], '30s'), 30, 0, 'ending'],
    ['not a moment earlier', run([{}], '30s'), 29.999, 0, 'active'],
    ['a renewal keeps it', run([{}], '30s', { renewal: { until: after(45) } }), 44.999, 0, 'active'],
    ['until that is over', run([{}], '30s', { renewal: { until: after(45) } }), 45, 0, 'ending'],
    ['a lease runs while it is scheduled', run([{ window: { start: 100 } }], '30s'), 30, 0, 'ending'],
  ];
  for (const [what, given, seconds, behind, phase] of rows) {
    it(what, () =>
      assert.equal(
        phaseAt(given, after(seconds), () => behind),
        phase,
      ),
    );
  }

  it('says why it ends: whichever comes first, the time or the lease', () => {
    assert.deepEqual(ownEnd(run([{ duration: 20 }], '30s')), {
      at: after(20),
      reason: 'expired',
      why: 'the time of its last rule was over',
    });
    assert.deepEqual(ownEnd(run([{ duration: 40 }], '30s')), {
      at: after(30),
      reason: 'expired',
      why: 'its owner did not renew the lease of 30s',
    });
    assert.equal(ownEnd(run([{}])), undefined);
  });

  it('goes only along the table, and never back, whatever its times are', () => {
    const second = fc.integer({ min: 1, max: 100 });
    const shape = fc.record({
      rules: fc.array(
        fc.record({ window: fc.record({ start: second }, { requiredKeys: [] }), duration: fc.integer({ min: 0, max: 100 }) }),
        { minLength: 1, maxLength: 3 },
      ),
      lease: fc.option(fc.integer({ min: 5, max: 100 }), { nil: undefined }),
      deletedAt: fc.option(second, { nil: undefined }),
      writtenLate: fc.integer({ min: 0, max: 5 }),
      leftLate: fc.integer({ min: 0, max: 5 }),
    });
    const seen = new Set<string>();
    fc.assert(
      fc.property(shape, ({ rules, lease, deletedAt, writtenLate, leftLate }) => {
        const bare = run(rules, lease === undefined ? undefined : `${lease}s`);
        let phase: Phase = 'scheduled';
        let endedAt: number | undefined;
        for (let now = 0; now <= 120; now++) {
          const own = ownEnd(bare);
          const due = [own === undefined ? Number.POSITIVE_INFINITY : (own.at - APPLIED) / 1000, deletedAt ?? Number.POSITIVE_INFINITY];
          if (now >= Math.min(...due)) endedAt ??= now;
          const written = endedAt !== undefined && now >= endedAt + writtenLate;
          const facts: Run = written ? { ...bare, ended: { at: after(endedAt ?? 0), reason: 'deleted', why: '' } } : bare;
          const behind = endedAt !== undefined && now < endedAt + writtenLate + leftLate ? 1 : 0;
          const next = phaseAt(facts, after(now), () => behind);
          if (next !== phase) {
            // Several events can fall into one step.
            const way = (from: Phase): boolean => from === next || Object.values(TRANSITIONS[from]).some(way);
            assert.ok(way(phase), `${phase} to ${next}`);
            seen.add(`${phase} ${next}`);
          }
          if (next === 'ending' || next === 'ended') assert.ok(isOver(facts, after(now)));
          phase = next;
        }
      }),
      { numRuns: 500 },
    );
    for (const step of ['scheduled active', 'scheduled ending', 'active ending', 'ending ended']) assert.ok(seen.has(step), step);
  });
});
