import { ownEnd } from '../../policy/lifecycle.ts';
import type { RunResult } from '../counts/shown.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import type { PolicyEvent } from './events.ts';

/** What a change of the policies is to those who watch; nothing when only the store's own record of it changed. */
export function eventOf({ before, after }: Change): PolicyEvent | undefined {
  // What has ended is swept away later, or gives its name to another.
  const live = before?.ended === undefined ? before : undefined;
  if (after === undefined) return live && ofStored(live, 'deleted', 'is gone');
  if (after.ended !== undefined) return live && ofStored(after, 'ended', `has ended: ${after.ended.reason}, ${after.ended.why}`);
  if (live === undefined) return ofStored(after, 'created', `is there, ${until(after)}`);
  return live.appliedAt === after.appliedAt ? undefined : ofStored(after, 'replaced', `was applied anew, ${until(after)}`);
}

/** The run that a change ended, if it did. */
export function endedBy({ before, after }: Change): StoredPolicy | undefined {
  if (before === undefined || before.ended !== undefined) return undefined;
  return after === undefined || after.ended !== undefined || after.appliedAt !== before.appliedAt ? before : undefined;
}

/** What came of a run that has ended. */
export function resultOf(stored: StoredPolicy, { total: { injected, skipped } }: RunResult): PolicyEvent {
  const hits = injected + skipped.shadow;
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

function until(stored: StoredPolicy): string {
  const end = ownEnd(stored);
  return end === undefined ? 'without an end' : `until ${new Date(end.at).toISOString()}`;
}
