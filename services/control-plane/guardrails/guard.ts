import type { Guardrails } from '../../policy/guardrails.ts';
import type { Policy } from '../../policy/schema.ts';
import type { Identity } from '../../policy/selector.ts';
import type { Applied } from '../ruleset/compile.ts';
import { type Candidate, chosenOf } from './choose.ts';
import { isOpen, type Limits, limitsOf, NONE, SYSTEM_NAMESPACES } from './limits.ts';
import { type Violation, violations } from './violations.ts';

/** Applies the guardrails: when a policy is written, and again whenever a ruleset is compiled. */
export class Guard {
  /** Whether anything was configured. */
  readonly configured: boolean;
  readonly rules: Guardrails;
  readonly #ownNamespace: string | undefined;
  /** Whether a policy that lies in the store is beyond the guardrails: asked for each proxy, and never another answer. */
  readonly #held = new WeakMap<Policy, boolean>();
  readonly #forbidden = new Map<string, Limits['forbiddenPaths']>();

  /** @param ownNamespace the control plane's own, where it has one */
  constructor(configured: Guardrails | undefined, ownNamespace: string | undefined) {
    this.configured = configured !== undefined;
    this.rules = configured ?? NONE;
    this.#ownNamespace = ownNamespace;
  }

  /** The namespaces of the system, for people to read. */
  get system(): string[] {
    return [...SYSTEM_NAMESPACES, ...(this.#ownNamespace === undefined ? [] : [this.#ownNamespace])];
  }

  /** Whether the connected proxies must be known to judge a policy. */
  counts(policy: Policy): boolean {
    const { maxProxies, oneProxyOfEachService } = this.#limits(policy);
    return policy.spec.mode !== 'shadow' && (maxProxies !== undefined || oneProxyOfEachService === true);
  }

  /** @param appliedAt milliseconds since the epoch @param proxies the connected ones that it selects, if they are to be counted */
  violations(policy: Policy, appliedAt: number, proxies?: readonly Candidate[]): Violation[] {
    return violations(policy, this.rules, { appliedAt, ownNamespace: this.#ownNamespace, proxies });
  }

  /** The only proxies that a policy is to be for; undefined when it is for all that it selects. */
  choose(policy: Policy, proxies: readonly Candidate[]): string[] | undefined {
    return this.counts(policy) ? chosenOf(proxies, this.#limits(policy)) : undefined;
  }

  /**
   * A policy as a proxy may get it: without the forbidden paths; undefined when it may not get it at all. That is so when the guardrails have become narrower since
   * the policy was applied, and for a proxy of the system whatever a selector says.
   */
  allowed<P extends Applied>(entry: P, { namespace }: Identity): (P & Applied) | undefined {
    if (!isOpen(this.rules, namespace, this.#ownNamespace) || this.#isHeld(entry)) return undefined;
    const never = this.#forbiddenIn(namespace);
    return never === undefined ? entry : { ...entry, never };
  }

  /** Asked for each policy of each proxy; a namespace that has nothing of its own shares the general answer. */
  #forbiddenIn(namespace: string): Limits['forbiddenPaths'] {
    const key = Object.hasOwn(this.rules.namespaces ?? {}, namespace) ? namespace : '';
    if (!this.#forbidden.has(key)) this.#forbidden.set(key, limitsOf(this.rules, key).forbiddenPaths);
    return this.#forbidden.get(key);
  }

  #isHeld({ policy, appliedAt }: Applied): boolean {
    const known = this.#held.get(policy);
    if (known !== undefined) return known;
    const held = this.violations(policy, appliedAt).length > 0;
    this.#held.set(policy, held);
    return held;
  }

  #limits({ spec: { selector } }: Policy): Limits {
    return limitsOf(this.rules, selector.namespace === '*' ? undefined : selector.namespace);
  }
}
