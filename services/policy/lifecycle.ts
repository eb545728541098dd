import { parseDuration } from './duration.ts';
import { policyEnd } from './end.ts';
import type { Policy } from './schema.ts';

/** What becomes of a policy from one apply on: a run. Applied again it is another run. */

/** Each phase of a run, and what holds in it. */
export const PHASES = {
  scheduled: 'Applied; its rules are with the proxies and match nothing yet, since each has a window that begins later.',
  active: 'A rule may fault requests now.',
  ending:
    'Its end has come, and its rules are in no ruleset any more; but the end is not written yet, or a connected proxy has not taken the ruleset without them.',
  ended: 'Its end is written, and no connected proxy runs it. It is in the history.',
} as const;
export type Phase = keyof typeof PHASES;

/** What happens to a run. */
export const EVENTS = {
  begins: 'The first window of its rules opens; at once when a rule has none.',
  over: 'Its time is over, its owner did not renew the lease, or somebody deleted, replaced or stopped it.',
  left: 'Its end is written, and the last connected proxy has taken a ruleset without it.',
} as const;
export type LifecycleEvent = keyof typeof EVENTS;

/** Where each event leads from each phase. What is not here can't happen. */
export const TRANSITIONS: Readonly<Record<Phase, Readonly<Partial<Record<LifecycleEvent, Phase>>>>> = {
  scheduled: { begins: 'active', over: 'ending' },
  active: { over: 'ending' },
  ending: { left: 'ended' },
  ended: {},
};

/** @throws RangeError when the event can't happen in that phase */
export function phaseAfter(phase: Phase, event: LifecycleEvent): Phase {
  const next = TRANSITIONS[phase][event];
  if (next === undefined) throw new RangeError(`a run that is ${phase} can not have the event ${event}`);
  return next;
}

/** Why a run ended. */
export const END_REASONS = {
  expired: 'its time was over, or its owner did not renew the lease',
  deleted: 'somebody deleted it',
  replaced: 'it was applied again, which is another run',
  halted: 'everything was halted, for good',
  stopped: 'a stop condition held',
} as const;
export type EndReason = keyof typeof END_REASONS;

/** How a run ended. */
export interface End {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason: EndReason;
  /** In words. */
  readonly why: string;
}

/** What is known of a run. */
export interface Run {
  readonly policy: Policy;
  /** When it was applied, in milliseconds since the epoch. */
  readonly appliedAt: number;
  /** Until when its owner renewed the lease; undefined when that was not done yet. */
  readonly renewal?: { readonly until: number } | undefined;
  /** Its end, once it is written. */
  readonly ended?: End | undefined;
}

/** The owner's lease in milliseconds; undefined without one. */
export function ownersLeaseMs({ spec }: Policy): number | undefined {
  return spec.lease === undefined ? undefined : parseDuration(spec.lease);
}

/** Until when the owner's lease runs if it is not renewed, in milliseconds since the epoch; undefined without one. */
export function leaseUntil({ policy, appliedAt, renewal }: Run): number | undefined {
  const lease = ownersLeaseMs(policy);
  return lease === undefined ? undefined : (renewal?.until ?? appliedAt + lease);
}

/** When the first window of the rules opens, in milliseconds since the epoch; 0 when one is open from the apply on. */
export function policyBegin({ spec }: Policy): number {
  return Math.min(...spec.rules.map(({ match }) => (match?.window?.start === undefined ? 0 : Date.parse(match.window.start))));
}

/** How a run ends if nobody does anything; undefined when it goes on. */
export function ownEnd(run: Run): End | undefined {
  const over = policyEnd(run.policy, run.appliedAt);
  const lease = leaseUntil(run);
  if (lease !== undefined && (over === 0 || lease < over)) {
    return { at: lease, reason: 'expired', why: `its owner did not renew the lease of ${run.policy.spec.lease}` };
  }
  return over === 0 ? undefined : { at: over, reason: 'expired', why: 'the time of its last rule was over' };
}

/** Whether a run's end has come by `now`, in milliseconds since the epoch, be it written or not. */
export function isOver(run: Run, now: number): boolean {
  if (run.ended !== undefined) return true;
  const end = ownEnd(run);
  return end !== undefined && end.at <= now;
}

/**
 * The phase of a run.
 *
 * @param now milliseconds since the epoch
 * @param behind how many connected proxies that it selects don't run yet what they should; asked only when it is over
 */
export function phaseAt(run: Run, now: number, behind: () => number = () => 0): Phase {
  const events: LifecycleEvent[] = [];
  // What ended before its first window never began.
  if (policyBegin(run.policy) <= (run.ended?.at ?? now)) events.push('begins');
  if (isOver(run, now)) events.push('over');
  if (run.ended !== undefined && behind() === 0) events.push('left');
  return events.reduce(phaseAfter, 'scheduled');
}
