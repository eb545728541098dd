import { FILTER_PATH } from '../../build/filter.ts';
import { explain } from '../../services/control-plane/explain/explain.ts';
import { filterModuleAt } from '../../services/control-plane/explain/filter-module.ts';
import { asEnvoyHands, requestSchema } from '../../services/control-plane/explain/request.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { KINDS } from './case.ts';
import { authorityOf, type Host, type Seen, type Trial, wireHeaders } from './host.ts';
import type { Kinds } from './kinds.ts';

/** Where cases are only explained: what `hfi explain` says of their requests stands for what becomes of them. */

/** An explanation says whether there is a fault; the kind is the rule's to say. */
const [, ...FAULTS] = KINDS;
const ANY_FAULT = FAULTS as unknown as Kinds;
const NOW = Date.UTC(2026, 0, 1);

export function byExplanation(): Host {
  const filter = filterModuleAt(FILTER_PATH)();
  if (filter === undefined) throw new Error('the filter is not built');
  return {
    lateMs: Number.POSITIVE_INFINITY,
    async run(trial) {
      const { verdict } = await explain(systemRuntime, filter, sceneOf(trial));
      if (verdict.percent === null) throw new Error('it hangs on counts');
      const hit = Math.round((trial.repeat * verdict.percent) / 100);
      return Array.from({ length: trial.repeat }, (_, i): Seen => {
        const kinds: Kinds = i < hit ? ANY_FAULT : ['none'];
        return { kinds, rule: verdict.rule ?? undefined, status: 0, body: '', headers: [], delayMs: 0 };
      });
    },
    async end() {},
  };
}

function sceneOf({ policies, identity, afterMs, direction, request }: Trial): Parameters<typeof explain>[2] {
  const { method, path, source, peer } = request;
  const headers = wireHeaders(request);
  const asked = requestSchema.parse({ method, path, authority: authorityOf(request), headers, source, peer, cluster: direction });
  const applied = { createdAt: NOW - afterMs, appliedAt: NOW - afterMs, revision: 1 };
  return {
    policies: policies.map((policy) => ({ stored: { policy, ...applied }, given: false })),
    over: () => new Set(),
    guard: (entry) => entry,
    halted: undefined,
    proxy: { ...identity, name: null, running: null, wanted: null },
    direction,
    asked: asEnvoyHands(asked, direction, 'x'),
    now: NOW,
  };
}
