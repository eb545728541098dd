import { setTimeout as sleep } from 'node:timers/promises';
import { parseDuration } from '../services/policy/duration.ts';
import { type Client, Refusal, taken } from './client.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { endInWords } from './lifecycle-words.ts';
import { lastRun, type PolicyResource } from './policies.ts';

/** A run of a policy that this command keeps going. */
export interface Held {
  readonly name: string;
  /** Of the run: somebody else's change makes another. */
  readonly resourceVersion: string;
  readonly leaseMs: number;
}

/** How a held policy is at the moment. */
export interface HeldState {
  readonly name: string;
  readonly selected: number;
  readonly acknowledged: number;
  /** Until when it goes on without a renewal, of `performance.now()`: the wall clock here may be wrong, or jump. */
  readonly until: number;
  /** Why the last renewal failed; undefined when it didn't. */
  readonly trouble: string | undefined;
}

export interface HoldOptions {
  /** @param timeoutMs for each answer */
  readonly client: (timeoutMs: number) => Client;
  /** Told of each state that is new, at most once a second. */
  readonly show: (states: readonly HeldState[]) => void;
  /** A line on something that happened. */
  readonly note: (line: string) => void;
  /** Aborted when the owner wants it to end. */
  readonly end: AbortSignal;
}

/** So often a lease is renewed within its time: two renewals may fail. */
const RENEWALS = 3;
const SHOW_MS = 1000;
const LONGEST_ANSWER_MS = 10_000;

/**
 * Keeps policies going until `end`, then deletes them. Without it, when this process or its machine is gone, their leases end them.
 *
 * @returns whether all of them went on to the end, and are over with it
 */
export async function hold(held: readonly Held[], options: HoldOptions): Promise<boolean> {
  const holds = held.map((one) => new Hold(one, options));
  const showing = showStates(holds, options);
  const kept = await Promise.all(holds.map((one) => one.keep()));
  await showing;
  const ended = await Promise.all(holds.map((one) => one.delete()));
  return [...kept, ...ended].every((one) => one);
}

async function showStates(holds: readonly Hold[], { show, end }: HoldOptions): Promise<void> {
  while (!end.aborted && holds.some((one) => !one.lost)) {
    await Promise.all(holds.map((one) => one.look()));
    show(holds.filter((one) => !one.lost).map((one) => one.state));
    await sleep(SHOW_MS, undefined, { signal: end }).catch(() => undefined);
  }
}

class Hold {
  readonly #held: Held;
  readonly #options: HoldOptions;
  readonly #client: Client;
  state: HeldState;
  /** It has ended, or is another's now. */
  lost = false;

  constructor(held: Held, options: HoldOptions) {
    this.#held = held;
    this.#options = options;
    this.#client = options.client(Math.min(held.leaseMs / RENEWALS, LONGEST_ANSWER_MS));
    this.state = { name: held.name, selected: 0, acknowledged: 0, until: performance.now() + held.leaseMs, trouble: undefined };
  }

  /** Renews until the owner ends it, or it has ended otherwise. @returns false for the latter */
  async keep(): Promise<boolean> {
    const { end } = this.#options;
    const { leaseMs } = this.#held;
    while (!end.aborted && !this.lost) {
      const wait = this.state.trouble === undefined ? leaseMs / RENEWALS : Math.min(1000, leaseMs / 10);
      await sleep(wait, undefined, { signal: end }).catch(() => undefined);
      if (!end.aborted) await this.#renew();
    }
    return !this.lost;
  }

  async #renew(): Promise<void> {
    const { name, resourceVersion, leaseMs } = this.#held;
    const { note } = this.#options;
    // Not later than the control plane, which counts from when it hears of this.
    const until = performance.now() + leaseMs;
    try {
      const answer = await this.#client.v1.policies[':name'].renew.$post(
        { param: { name: encodeURIComponent(name) } },
        { headers: { 'if-match': `"${resourceVersion}"` } },
      );
      await taken(answer);
      if (this.state.trouble !== undefined) note(`policy/${name} is renewed again`);
      this.state = { ...this.state, until, trouble: undefined };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error instanceof Refusal && (error.exit === EXIT.refused || error.exit === EXIT.notFound)) {
        this.lost = true;
        note(`policy/${name} is not held any more: ${(await this.#howItEnded()) ?? error.message}`);
        return;
      }
      if (performance.now() >= this.state.until) {
        this.lost = true;
        note(`policy/${name} is not held any more: its lease is over. ${error.message}`);
        return;
      }
      if (this.state.trouble === undefined) note(`policy/${name} can not be renewed: ${error.message} Trying again.`);
      this.state = { ...this.state, trouble: error.message };
    }
  }

  /** What became of the run, if it is known. */
  async #howItEnded(): Promise<string | undefined> {
    const { name } = this.#held;
    try {
      const run = await lastRun(this.#client, name);
      return run && endInWords(run.status);
    } catch {
      return undefined;
    }
  }

  async look(): Promise<void> {
    const { name, resourceVersion } = this.#held;
    try {
      const answer = await this.#client.v1.rollout.$get({
        query: { revision: resourceVersion, policy: name },
        header: { prefer: 'wait=0' },
      });
      const { selected, acknowledged } = await taken(answer);
      this.state = { ...this.state, selected, acknowledged };
    } catch {
      // Renewing tells of it.
    }
  }

  /** Ends it, unless it is another's by now. @returns whether nobody has to see to it any more */
  async delete(): Promise<boolean> {
    if (this.lost) return true;
    const { name, resourceVersion } = this.#held;
    const { note } = this.#options;
    try {
      const answer = await this.#client.v1.policies[':name'].$delete(
        { param: { name: encodeURIComponent(name) } },
        { headers: { 'if-match': `"${resourceVersion}"` } },
      );
      await taken(answer);
      note(`policy/${name} deleted`);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.exit === EXIT.notFound) return true;
      if (error instanceof Refusal && error.exit === EXIT.refused) {
        note(`policy/${name} was applied again by somebody else: it stays in force, and this lease does not end it. ${error.message}`);
        return false;
      }
      const why = error instanceof Error ? error.message : String(error);
      note(`policy/${name} could not be deleted, its lease ends it within ${Math.ceil(this.#held.leaseMs / 1000)} s: ${why}`);
      return true;
    }
  }
}

/** The run that an apply began. */
export function heldOf({ metadata, spec }: PolicyResource): Held {
  return { name: metadata.name, resourceVersion: metadata.resourceVersion, leaseMs: parseDuration(spec.lease ?? '') ?? 0 };
}

/** Aborted at Ctrl-C, SIGTERM or a closed terminal. A second one ends the process at once: the leases end the policies then. */
export function endOnSignal(): AbortSignal {
  const asked = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (asked.signal.aborted) process.exit(EXIT.refused);
      asked.abort();
    });
  }
  return asked.signal;
}
