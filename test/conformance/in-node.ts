import { bytes } from '../../filter/host/header-pairs.ts';
import { peerProperties } from '../../filter/host/peer.ts';
import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { Envoy } from '../filter/envoy.ts';
import type { Host, Seen, Trial } from './host.ts';
import { exchangedIn, NodeRequest } from './node-request.ts';

/** The built filter in Node's host, in one VM and in virtual time. */

/** Requests held at the same time; the filter's own limit is 1,000. */
const BATCH = 500;
/** No rule holds longer: `start_delay_ms` and the delay are an hour each. */
const LONGEST_MS = 7_200_000;
const CLUSTER = 'xds\0cluster_name';
const SOURCE = 'connection\0uri_san_peer_certificate';

/** Makes a host; the filter must have been built. */
export function inNode(): Host {
  let lab = new Lab();
  return {
    lateMs: 0,
    async run(trial) {
      try {
        return lab.run(trial);
      } catch (error) {
        // A VM that trapped must not fail the cases that follow.
        lab = new Lab();
        throw error;
      }
    },
    async end() {},
  };
}

class Lab {
  readonly #envoy = new Envoy();
  readonly #roots = {
    inbound: this.#envoy.root,
    outbound: this.#envoy.vm.configure({ cluster: 'hfi-control-plane', direction: 'outbound' }),
  };
  #inForce = '';
  /** What is told of the present case's caller. */
  #told: readonly string[] = [];

  run(trial: Trial): Seen[] {
    const envoy = this.#envoy;
    // Each case is an apply of its own, with counts of its own.
    envoy.process.advance(1);
    const ruleset = trial.ruleset(Math.round(envoy.now));
    const version = rulesetVersion(ruleset);
    if (version !== this.#inForce) this.#inForce = envoy.serveBytes(ruleset);
    this.#tell(trial);

    const root = this.#roots[trial.direction];
    const exchanged = exchangedIn(trial);
    const seen: Seen[] = [];
    while (seen.length < trial.repeat) {
      const requests = Array.from({ length: Math.min(BATCH, trial.repeat - seen.length) }, () => new NodeRequest(envoy, root, exchanged));
      const held = waitForAll(envoy, requests);
      for (const request of requests) {
        seen.push(request.outcome(held.get(request) ?? 0));
        request.end();
      }
      // The lease must not end while virtual time passes.
      if (held.size > 0) envoy.unchanged();
    }
    return seen;
  }

  #tell({ request: { source, peer = {} }, direction }: Trial): void {
    const { properties } = this.#envoy.process;
    for (const name of this.#told) properties.delete(name);
    // The sandbox's Envoys call their clusters so.
    const told = new Map([...peerProperties(peer), [CLUSTER, direction], ...(source === undefined ? [] : [[SOURCE, source] as const])]);
    for (const [name, value] of told) properties.set(name, bytes(value));
    this.#told = [...told.keys()];
  }
}

/**
 * Moves the clock from timer to timer until no request is held any more.
 *
 * @returns how long each was, to the ms
 * @throws Error when one is held for longer than any rule says
 */
function waitForAll(envoy: Envoy, requests: readonly NodeRequest[]): Map<NodeRequest, number> {
  const held = new Map<NodeRequest, number>();
  let waiting = requests.filter(({ over }) => !over);
  const begun = envoy.process.nowNs;
  const passed = (): number => Number(envoy.process.nowNs - begun) / 1e6;
  while (waiting.length > 0) {
    if (passed() > LONGEST_MS) throw new Error(`the filter held the request for more than ${LONGEST_MS} ms`);
    const next = [...envoy.vm.timers.values()].reduce((least, { at }) => (at < least ? at : least), envoy.process.nowNs + 1_000_000_000n);
    envoy.process.advance(Math.max(Number(next - envoy.process.nowNs) / 1e6, 0));
    for (const request of waiting) {
      request.advance();
      if (request.over) held.set(request, passed());
    }
    waiting = waiting.filter(({ over }) => !over);
  }
  return held;
}
