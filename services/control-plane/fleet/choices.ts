import type { Change, StoredPolicy } from '../store/store.ts';

/** Which proxies are chosen by policies that are for some of those they select only. */
export class Choices {
  /** Names of policies by the proxies that they chose. A proxy that none chose is not in it. */
  readonly #byProxy = new Map<string, Set<string>>();

  /** Takes changes of the policies. @returns the proxies whose choices may have changed */
  change(changes: readonly Change[]): Set<string> {
    const concerned = new Set<string>();
    for (const { name, before, after } of changes) {
      for (const proxy of before?.chosen ?? []) {
        concerned.add(proxy);
        const policies = this.#byProxy.get(proxy);
        policies?.delete(name);
        if (policies?.size === 0) this.#byProxy.delete(proxy);
      }
      for (const proxy of after?.chosen ?? []) {
        concerned.add(proxy);
        const policies = this.#byProxy.get(proxy) ?? new Set();
        policies.add(name);
        this.#byProxy.set(proxy, policies);
      }
    }
    return concerned;
  }

  /** The policies that chose a proxy, as one text: proxies of one identity with the same one run the same ruleset. */
  of(proxy: string): string {
    return [...(this.#byProxy.get(proxy) ?? [])].sort().join(' ');
  }
}

/** Whether a policy is for proxies that the policies of `choice` chose. */
export function isFor({ policy, chosen }: StoredPolicy, choice: string): boolean {
  return chosen === undefined || choice.split(' ').includes(policy.metadata.name);
}
