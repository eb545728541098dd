import { isDeepStrictEqual } from 'node:util';
import { isOver, ownersLeaseMs } from '../../policy/lifecycle.ts';
import type { Policy } from '../../policy/schema.ts';
import type { Scope } from '../access/caller.ts';
import { coversSelector, inWords, seesPolicy } from '../access/scope.ts';
import type { Halt } from '../store/halts.ts';
import type { Origin, Outcome, StoredPolicy } from '../store/store.ts';
import { inWords as haltInWords } from './halt-resource.ts';
import type { Parts } from './parts.ts';
import { Problem } from './problem.ts';

/** What a writer asks of what is there already. */
export type Intent =
  | { readonly kind: 'any' }
  /** Only if it isn't there; `otherwise` is how it is refused if it is. */
  | { readonly kind: 'create'; readonly otherwise: 'conflict' | 'precondition-failed' }
  /** Only if it is at this revision. */
  | { readonly kind: 'at'; readonly revision: number }
  /** Only if it is there, at whatever revision. */
  | { readonly kind: 'exists' };

export interface Written {
  readonly result: 'created' | 'configured' | 'unchanged';
  readonly stored: StoredPolicy;
}

/** Each try begins with what the failed one found, so only writers of the very same policy can use them up. */
const TRIES = 20;

/**
 * Writes a policy. What this replica remembers is only where the first try begins: the store's compare on the revision
 * decides, and a try that fails brings what is really there. So a write costs one transaction.
 */
export async function writePolicy(
  parts: Parts,
  policy: Policy,
  intent: Intent,
  scope: Scope,
  asked: Origin,
  dryRun: boolean,
  chosen: readonly string[] | undefined,
): Promise<Written> {
  const { name } = policy.metadata;
  refuseHalted(parts.halts.over(policy.spec.selector.namespace));
  let base = await begin(parts, name, intent, dryRun);
  for (let left = TRIES; left > 0; left--) {
    // Not the request's beginning, which may be long ago: the time of the policy's rules begins with what is written.
    const origin = { ...asked, time: parts.runtime.clock.now() };
    if (base !== undefined && !seesPolicy(scope, base.policy)) {
      throw new Problem(
        'forbidden',
        `The name ${JSON.stringify(name)} is that of a policy outside of ${inWords(scope)}, for which the token is: take another.`,
      );
    }
    refuseUnless(intent, name, base);
    // What is over goes on no more: this is another run.
    const live = base !== undefined && !isOver(base, origin.time) ? base : undefined;
    const same = live !== undefined && isUnchanged(live, policy, chosen);
    const result = live === undefined ? 'created' : same ? 'unchanged' : 'configured';
    if (dryRun) {
      return { result, stored: same ? live : planned(policy, live, origin, chosen) };
    }
    const outcome = same ? await leave(parts, live, origin) : await parts.store.put(policy, base, origin, chosen);
    if (outcome.done) return { result, stored: outcome.value };
    refuseHalted(outcome.halt);
    base = outcome.current;
  }
  throw new Problem('conflict', `Others change ${JSON.stringify(name)} all the time; try again.`);
}

/** Lets a policy be as it is. Who applies it again is there, which renews the owner's lease. */
function leave({ store }: Parts, stored: StoredPolicy, { time }: Origin): Promise<Outcome<StoredPolicy>> {
  const lease = ownersLeaseMs(stored.policy);
  return lease === undefined ? store.unchanged(stored) : store.renew(stored, time + lease);
}

/** @throws Problem `halted`, which says how it goes on */
function refuseHalted(halt: Halt | undefined): void {
  if (halt === undefined) return;
  const command = `hfi resume${halt.namespace === null ? '' : ` --namespace ${halt.namespace}`}`;
  throw new Problem('halted', `${haltInWords(halt)}; no policy can be applied to it until an admin resumes: ${command}.`);
}

/** Deletes a policy; gives the revision of the removal. */
export async function deletePolicy(parts: Parts, name: string, intent: Intent, scope: Scope, origin: Origin): Promise<number> {
  let base = await begin(parts, name, intent, false);
  // What isn't remembered may be there all the same, written through another replica a moment ago.
  if (base === undefined) base = await parts.store.get(name);
  for (let left = TRIES; left > 0; left--) {
    if (base === undefined || !seesPolicy(scope, base.policy))
      throw new Problem('not-found', `There is no policy ${JSON.stringify(name)}.`);
    refuseUnless(intent, name, base);
    const outcome = await parts.store.remove(base, origin);
    if (outcome.done) return outcome.value;
    base = outcome.current;
  }
  throw new Problem('conflict', `Others change ${JSON.stringify(name)} all the time; try again.`);
}

/** @throws Problem `forbidden` when a policy could do anything outside of a scope */
export function refuseOutside(scope: Scope, policy: Policy): void {
  const { selector } = policy.spec;
  if (scope.namespaces === undefined || coversSelector(scope, selector)) return;
  const path = 'spec.selector.namespace';
  const given = selector.namespace === undefined ? 'is missing' : `is ${JSON.stringify(selector.namespace)}`;
  throw new Problem('forbidden', `The token is for ${inWords(scope)}; ${path} ${given}.`, {
    errors: [{ path, message: `${given}; the token is for ${inWords(scope)}`, allowed: [...scope.namespaces] }],
  });
}

async function begin(parts: Parts, name: string, intent: Intent, mustBeCurrent: boolean): Promise<StoredPolicy | undefined> {
  const remembered = parts.copy.policies.get(name);
  // A wish that this replica's memory doesn't fulfil may be fulfilled by what is really there.
  const doubtful = !fulfils(intent, remembered);
  return mustBeCurrent || doubtful ? parts.store.get(name) : remembered;
}

function fulfils(intent: Intent, base: StoredPolicy | undefined): boolean {
  switch (intent.kind) {
    case 'any':
      return true;
    case 'create':
      return base === undefined || base.ended !== undefined;
    case 'exists':
      return base !== undefined && base.ended === undefined;
    case 'at':
      return base?.revision === intent.revision;
  }
}

/** @throws Problem when what is there is not what the writer asks for */
export function refuseUnless(intent: Intent, name: string, base: StoredPolicy | undefined): void {
  if (fulfils(intent, base)) return;
  const quoted = JSON.stringify(name);
  if (base === undefined) throw new Problem('precondition-failed', `There is no policy ${quoted}.`);
  if (intent.kind === 'create') throw new Problem(intent.otherwise, `There is a policy ${quoted} already, at version ${base.revision}.`);
  throw new Problem('precondition-failed', `The policy ${quoted} is at version ${base.revision} now.`);
}

/** Whether to apply a policy changes nothing of what is there, not even when a rule ends or whom it hits. */
export function isUnchanged(base: StoredPolicy, policy: Policy, chosen: readonly string[] | undefined): boolean {
  return isDeepStrictEqual(base.policy.spec, policy.spec) && isDeepStrictEqual(base.chosen, chosen) && !hasDuration(policy);
}

function hasDuration(policy: Policy): boolean {
  return policy.spec.rules.some((rule) => rule.fault.duration_seconds > 0);
}

/** What a write would make, for a dry run. */
function planned(policy: Policy, base: StoredPolicy | undefined, { time }: Origin, chosen: readonly string[] | undefined): StoredPolicy {
  return { policy, createdAt: base?.createdAt ?? time, appliedAt: time, revision: base?.revision ?? 0, chosen };
}
