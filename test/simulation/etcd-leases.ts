interface Lease {
  /** Seconds. */
  readonly ttl: number;
  /** Milliseconds. */
  until: number;
  readonly keys: Set<string>;
}

/** The leases of the model of etcd, and which keys are on them. */
export class EtcdLeases {
  readonly #leases = new Map<string, Lease>();
  readonly #now: () => number;
  #next = 7000;

  /** @param now in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  grant(ttl: number): string {
    const id = String(this.#next++);
    this.#leases.set(id, { ttl, until: this.#now() + ttl * 1000, keys: new Set() });
    return id;
  }

  /** @returns the keys that go with it, in order */
  revoke(id: string): string[] {
    const lease = this.mustBeThere(id);
    this.#leases.delete(id);
    return [...(lease?.keys ?? [])].sort();
  }

  /** @returns the lease; undefined for none. @throws Error when it is gone */
  mustBeThere(id: string | number | undefined): Lease | undefined {
    if (id === undefined || String(id) === '0') return undefined;
    const found = this.#leases.get(String(id));
    if (found === undefined) throw new Error('etcdserver: requested lease not found is expired or revoked');
    return found;
  }

  attach(id: string, key: string): void {
    this.mustBeThere(id)?.keys.add(key);
  }

  detach(id: string | undefined, key: string): void {
    this.#leases.get(id ?? '0')?.keys.delete(key);
  }

  /** @returns the seconds it has now; 0 when it is gone */
  keepAlive(id: string): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) return 0;
    lease.until = this.#now() + lease.ttl * 1000;
    return lease.ttl;
  }

  /** Those whose time is over. */
  over(): string[] {
    return [...this.#leases].filter(([, { until }]) => until <= this.#now()).map(([id]) => id);
  }

  /** All begin anew with their whole time, as after a restart. */
  begin(): void {
    for (const lease of this.#leases.values()) lease.until = this.#now() + lease.ttl * 1000;
  }
}
