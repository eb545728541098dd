import type { Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';

/** The lease of proxies that none was heard of yet, in milliseconds (`mesh.lease` of the stack, unless configured). */
const USUAL_LEASE_MS = 60_000;

export interface UnheardOptions {
  readonly runtime: Runtime;
  readonly policies: () => Iterable<StoredPolicy>;
  /** The leases of the proxies that are known, in milliseconds. */
  readonly leases: () => Iterable<number>;
}

/**
 * Whether there may be proxies that do faults and of which no replica knows. A replica knows those that have polled it since it was started: what
 * another one knew is lost with it. So after the start of one, and the loss of one, proxies that have not been heard of since may go on for the
 * rest of their leases with what was applied before.
 */
export class Unheard {
  readonly #options: UnheardOptions;
  #replicas: ReadonlySet<string> = new Set();
  /** `elapsed` of when this replica was started, or another one was lost. */
  #since: number;

  constructor(options: UnheardOptions) {
    this.#options = options;
    this.#since = options.runtime.clock.elapsed();
  }

  /** Looks at the list of replicas. */
  look(replicas: Iterable<string>): void {
    const now = new Set(replicas);
    if ([...this.#replicas].some((name) => !now.has(name))) this.#since = this.#options.runtime.clock.elapsed();
    this.#replicas = now;
  }

  /**
   * Until when they may go on, in milliseconds since the epoch; undefined when there can be none.
   *
   * @param namespace whose proxies it is about; undefined = all
   */
  until(namespace: string | undefined): number | undefined {
    const { runtime, policies, leases } = this.#options;
    const now = runtime.clock.now();
    const since = now - (runtime.clock.elapsed() - this.#since);
    if (!someOlder(policies(), since, namespace)) return undefined;
    let lease = 0;
    for (const one of leases()) lease = Math.max(lease, one);
    const until = since + (lease === 0 ? USUAL_LEASE_MS : lease);
    return until > now ? until : undefined;
  }
}

/** Whether something was in force before `since` that concerns a namespace, and was not over by then. */
function someOlder(policies: Iterable<StoredPolicy>, since: number, namespace: string | undefined): boolean {
  for (const { policy, appliedAt, ended } of policies) {
    const its = policy.spec.selector.namespace ?? '*';
    const concerns = namespace === undefined || its === '*' || its === namespace;
    if (concerns && appliedAt < since && (ended === undefined || ended.at > since)) return true;
  }
  return false;
}
