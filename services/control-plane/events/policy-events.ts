import { policyEnd } from '../../policy/end.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import type { PolicyEvent } from './events.ts';

/** What a change of the policies is to those who watch; nothing when only the store's own record of it changed. */
export function eventOf({ before, after }: Change): PolicyEvent | undefined {
  if (after === undefined) return before && ofStored(before, 'deleted', 'is gone');
  if (before === undefined) return ofStored(after, 'created', `is there, ${until(after)}`);
  return before.appliedAt === after.appliedAt ? undefined : ofStored(after, 'replaced', `was applied anew, ${until(after)}`);
}

/** That a policy ended. */
export function endOf(stored: StoredPolicy): PolicyEvent {
  return ofStored(stored, 'ended', 'has ended');
}

/** What came of a policy that has ended. @param hits requests that it hit, or would have hit in shadow */
export function resultOf(stored: StoredPolicy, hits: number): PolicyEvent {
  const said = hits === 0 ? 'is INCONCLUSIVE: it hit no request' : `hit ${hits} ${hits === 1 ? 'request' : 'requests'}`;
  return ofStored(stored, 'result', said);
}

function ofStored({ policy, revision }: StoredPolicy, what: PolicyEvent['what'], said: string): PolicyEvent {
  const { name } = policy.metadata;
  return {
    type: 'policy',
    what,
    policy: name,
    namespace: policy.spec.selector.namespace ?? null,
    revision,
    message: `policy/${name} ${said}`,
  };
}

function until({ policy, appliedAt }: StoredPolicy): string {
  const end = policyEnd(policy, appliedAt);
  return end === 0 ? 'without an end' : `until ${new Date(end).toISOString()}`;
}
