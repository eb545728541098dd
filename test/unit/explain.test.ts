import assert from 'node:assert/strict';
import { FILTER_PATH } from '../../build/filter.ts';
import type { Effect } from '../../services/control-plane/explain/effect.ts';
import { explain } from '../../services/control-plane/explain/explain.ts';
import { filterModuleAt } from '../../services/control-plane/explain/filter-module.ts';
import { asEnvoyHands, requestSchema } from '../../services/control-plane/explain/request.ts';
import { type Standing, TooManyRules } from '../../services/control-plane/explain/standing.ts';
import { contradiction } from '../../services/control-plane/explain/verify.ts';
import type { Runtime } from '../../services/control-plane/runtime.ts';
import { policy } from '../../services/policy/schema.ts';

const FAULT = { abort: { httpStatus: 503 } };
const KEY = '00000000000000ab';

function standing(rule: object = {}): Standing {
  const made = policy.parse({ metadata: { name: 'p' }, spec: { rules: [{ fault: FAULT, ...rule }] } });
  const [only] = made.spec.rules;
  assert.ok(only);
  const stored = { policy: made, createdAt: 0, appliedAt: 0, revision: 1 };
  return { stored, name: 'p/0', index: 0, rule: only, key: KEY, time: 'open', matches: true };
}

describe('explain: held against what the filter did', () => {
  const certain: Effect = { kind: 'fault', percent: 100, sticky: null };
  const perhaps: Effect = { kind: 'chance', percent: 50, sticky: null };
  const one = standing();
  const effects = (effect: Effect) => new Map([[one, effect]]);
  const rows: [string, object, Effect, RegExp | undefined][] = [
    ['it did what was explained', { [KEY]: { injected: 1 } }, certain, undefined],
    ['it hit by another rule', { [KEY]: { injected: 1 }, '00000000000000cd': { injected: 1 } }, certain, /00000000000000cd/],
    ['it lost the dice of another rule', { '00000000000000cd': { dice: 1 } }, perhaps, /not among p\/0/],
    ['it met another rule outside of its time', { [KEY]: { injected: 1 }, '00000000000000cd': { window: 1 } }, certain, undefined],
    ['it did nothing where a fault is certain', {}, certain, /did not decide by p\/0/],
    ['it did nothing where there is a chance', {}, perhaps, undefined],
    ['it lost before any rule was asked', { '0000000000000000': { dice: 1 } }, perhaps, undefined],
  ];
  for (const [what, report, effect, says] of rows) {
    it(what, () => {
      const found = contradiction(new Map(Object.entries(report)), [one], effects(effect));
      if (says === undefined) assert.equal(found, undefined);
      else assert.match(found ?? 'nothing', says);
    });
  }

  it('what hangs on the answer is not counted yet', () => {
    const late = standing({ fault: { ifStatus: 200, response: { status: 503 } } });
    assert.equal(contradiction(new Map(), [late], new Map([[late, certain]])), undefined);
  });
});

describe('explain: when time runs out', () => {
  /** Each look at the clock takes so long. */
  const slow = (lookMs: number): Runtime => {
    let elapsed = 0;
    return {
      clock: { now: () => 0, elapsed: () => (elapsed += lookMs) },
      timers: {
        after: (_ms, task) => {
          setImmediate(task);
          return () => {};
        },
      },
      random: () => 0,
    };
  };
  const filter = filterModuleAt(FILTER_PATH)();
  const rules = Array.from({ length: 3 }, () => ({ match: { path: { exact: '/a' } }, fault: FAULT }));
  const stored = {
    policy: policy.parse({ metadata: { name: 'p' }, spec: { rules } }),
    createdAt: 0,
    appliedAt: 0,
    revision: 1,
  };
  const scene: Parameters<typeof explain>[2] = {
    policies: [{ stored, given: false }],
    over: () => new Set(),
    guard: (entry) => entry,
    halted: undefined,
    proxy: { namespace: 'demo', workload: '', labels: {}, name: null, running: null, wanted: null },
    direction: 'inbound',
    asked: asEnvoyHands(requestSchema.parse({}), 'inbound', 'x'),
    now: 0,
  };

  it('before the rules were asked, there is no answer', async () => {
    assert.ok(filter);
    await assert.rejects(explain(slow(6000), filter, scene), TooManyRules);
  });

  it('before their parts were asked, the answer says that it does not know why', async () => {
    assert.ok(filter);
    const { verdict, policies } = await explain(slow(1500), filter, scene);
    assert.equal(verdict.outcome, 'none');
    const told = policies[0]?.rules.map(({ state, unmet, unmetKnown }) => [state, unmet.length, unmetKnown]);
    assert.deepEqual(told, Array(3).fill(['no-match', 0, false]));
  });
});
