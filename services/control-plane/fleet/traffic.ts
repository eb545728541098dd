/** How many requests came by a proxy since it began, by direction. */
export interface Requests {
  readonly inbound: number;
  readonly outbound: number;
}

/** Polls that come sooner after one another than that tell too little of a rate. */
const SHORTEST_MS = 5000;

/** How many requests a second come by a proxy, from what its polls say of them: over the time between two of them, 25 s mostly. */
export class Traffic {
  #last: { readonly at: number; readonly requests: Requests } | undefined;
  #perSecond: Requests | undefined;

  /** @param at milliseconds since any moment, never going back */
  take(requests: Requests | undefined, at: number): void {
    const last = this.#last;
    if (requests === undefined) return;
    // A proxy that was started again counts from nothing.
    const isNew = last === undefined || requests.inbound < last.requests.inbound || requests.outbound < last.requests.outbound;
    if (isNew) this.#perSecond = undefined;
    else if (at - last.at < SHORTEST_MS) return;
    else {
      const seconds = (at - last.at) / 1000;
      this.#perSecond = {
        inbound: (requests.inbound - last.requests.inbound) / seconds,
        outbound: (requests.outbound - last.requests.outbound) / seconds,
      };
    }
    this.#last = { at, requests };
  }

  /** Requests a second; undefined until two polls have told. */
  get perSecond(): Requests | undefined {
    return this.#perSecond;
  }
}
