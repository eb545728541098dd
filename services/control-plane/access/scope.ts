import type { Policy, Selector } from '../../policy/schema.ts';
import type { Halt } from '../store/halts.ts';
import type { AuditEntry } from '../store/store.ts';
import type { Scope } from './caller.ts';

/** What a scope lets through. Everything that a caller sees or changes is asked of these functions, and of nothing else. */

/** Whether something of this namespace may be seen; what belongs to no namespace (the empty name) only without a scope. */
export function seesNamespace({ namespaces }: Scope, namespace: string): boolean {
  return namespaces === undefined || namespaces.includes(namespace);
}

/**
 * Whether every workload that a selector can name is in the scope. One without a namespace, or with `*`, names workloads of all
 * namespaces, those of tomorrow too.
 */
export function coversSelector(scope: Scope, { namespace }: Selector): boolean {
  if (scope.namespaces === undefined) return true;
  return namespace !== undefined && namespace !== '*' && scope.namespaces.includes(namespace);
}

/** Whether a policy may be seen: the same that may be changed. */
export function seesPolicy(scope: Scope, policy: Policy): boolean {
  return coversSelector(scope, policy.spec.selector);
}

/** Whether a halt may be seen: that of everything by everybody, for it is theirs too. */
export function seesHalt(scope: Scope, { namespace }: Pick<Halt, 'namespace'>): boolean {
  return namespace === null || seesNamespace(scope, namespace);
}

/** Whether a namespace, or everything (null), may be halted and resumed. */
export function mayHalt(scope: Scope, namespace: string | null): boolean {
  return namespace === null ? scope.namespaces === undefined : seesNamespace(scope, namespace);
}

/** The scope in words, for messages. */
export function inWords({ namespaces }: Scope): string {
  if (namespaces === undefined) return 'every namespace';
  return namespaces.length === 1 ? `namespace ${namespaces[0]}` : `namespaces ${namespaces.join(', ')}`;
}

/**
 * An audit entry as far as it may be seen: where a policy went from one namespace to another, the half of it that is in the scope. What is of
 * neither a policy nor a halt is for those without a scope.
 */
export function seenOfEntry(scope: Scope, entry: AuditEntry): AuditEntry | undefined {
  if (scope.namespaces === undefined) return entry;
  if (entry.halt !== undefined) return seesHalt(scope, entry.halt) ? entry : undefined;
  const before = seenState(scope, entry.before);
  const after = seenState(scope, entry.after);
  return before === null && after === null ? undefined : { ...entry, before, after };
}

function seenState(scope: Scope, state: AuditEntry['before']): AuditEntry['before'] {
  return state !== null && 'selector' in state && coversSelector(scope, state.selector) ? state : null;
}
