import { MAX_RULESET_BYTES } from '../../../filter/assembly/layout.ts';
import type { Policy } from '../../policy/schema.ts';
import { type Identity, selects } from '../../policy/selector.ts';
import { compileRuleset } from '../ruleset/compile.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import { Budget } from './budget.ts';
import { Choices } from './choices.ts';
import { Ends } from './ends.ts';
import { Compiler, type CompilerGuard, Group, markedRuleset, type Ruleset } from './group.ts';
import { identityKey, isSameStanding } from './identity.ts';
import {
  connectedUntil,
  type Hello,
  hasRefused,
  isConnected,
  type KnownProxy,
  type Leaving,
  listedUntil,
  type PollAnswer,
  sent,
} from './proxy.ts';
import { Traffic } from './traffic.ts';

export interface FleetOptions {
  readonly runtime: Runtime;
  /** Whether the copy of the policies is current enough to be served. */
  readonly fresh: () => boolean;
  /** Whether a namespace's proxies are halted. */
  readonly halted: (namespace: string) => boolean;
  /** Told how long each compilation took, in milliseconds. */
  readonly measureCompile: (milliseconds: number) => void;
  /** Told when a waiting proxy is woken by a change. */
  readonly woken: () => void;
  /** Called with the policies that a ruleset had no room for. */
  readonly leftOut?: (policies: readonly string[]) => void;
  /** The rules of a policy that are over before their ends. */
  readonly over?: (stored: StoredPolicy) => ReadonlySet<number>;
  /** What a proxy may get of a policy; all of it if not given. */
  readonly guard?: CompilerGuard;
  /** What all proxies together may do; anything if not given. */
  readonly budget?: Budget;
  /** Told, on every replica, when a policy's time is over, or its owner's lease. */
  readonly ended: (stored: StoredPolicy) => void;
}

/**
 * The connected proxies and what they should run.
 *
 * ```
 *                    poll, nothing new                 its ruleset changes, the wait ends, a newer poll, drain
 *   (unknown) ────────────────────────────▶ waiting ─────────────────────────────────────────────────────────▶ answered
 *       ▲          poll, something new          ▲                                                                  │
 *       │  ─────────────────────────────────────┼───────────────────────────────▶ answered                         │
 *       │                                       └──────────────────────── polls again ─────────────────────────────┤
 *       │                                                                                                          │
 *       └──── forgotten after max(lease, 60 s) ◀──── disconnected ◀── connection lost, or silent for 7 s ──────────┘
 * ```
 *
 * Proxies of one identity form a group, which knows the wanted ruleset. A change looks only at groups that its selector can
 * name, recompiles those, and wakes only the proxies of groups whose bytes changed.
 */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #compiler: Compiler;
  readonly #policies: Map<string, StoredPolicy> = new Map();
  readonly #proxies: Map<string, KnownProxy> = new Map();
  readonly #groups: Map<string, Group> = new Map();
  readonly #choices = new Choices();
  readonly #ends: Ends;
  readonly #budget: Budget;
  readonly #listeners: Set<() => void> = new Set();
  #telling = false;
  readonly #ending = new AbortController();

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new Budget(undefined, () => 1);
    this.#compiler = new Compiler(options.measureCompile, options.leftOut, options.over, options.guard);
    this.#ends = new Ends(options.runtime, {
      due: ({ policy }) => {
        this.#refresh((identity) => selects(policy.spec.selector, identity));
        this.#tell();
      },
      over: options.ended,
    });
  }

  /** Takes a set of changes of the policies, all of one moment; none when only the list of replicas changed. */
  change(changes: readonly Change[]): void {
    for (const { name, after } of changes) {
      if (after === undefined) {
        this.#policies.delete(name);
        this.#ends.forget(name);
      } else {
        this.#policies.set(name, after);
        this.#ends.take(after);
      }
    }
    const selectors = changes.flatMap(({ before, after }) => [before, after].flatMap((stored) => stored?.policy.spec.selector ?? []));
    this.#regroup(this.#choices.change(changes));
    this.#refresh((identity) => selectors.some((selector) => selects(selector, identity)));
    this.#tell();
  }

  /** Looks again which rules of a policy are over before their ends. */
  reconsider(name: string): void {
    const stored = this.#policies.get(name);
    if (stored === undefined) return;
    this.#refresh((identity) => selects(stored.policy.spec.selector, identity));
    this.#tell();
  }

  /** Takes renewals of owners' leases. No ruleset changes with them, unless the lease was over here already. */
  renewed(policies: readonly StoredPolicy[]): void {
    for (const stored of policies) {
      const { name } = stored.policy.metadata;
      const before = this.#policies.get(name);
      if (this.#ends.isAbandoned(name)) this.change([{ name, before, after: stored }]);
      else {
        this.#policies.set(name, stored);
        this.#ends.take(stored);
      }
    }
  }

  /** How many connected proxies that a selector names don't run yet what they should. */
  behind(selector: Policy['spec']['selector']): number {
    const now = this.#options.runtime.clock.now();
    let behind = 0;
    for (const group of this.#groups.values()) {
      if (!readable(group.identity) || !selects(selector, group.identity)) continue;
      for (const name of group.proxies) {
        const proxy = this.#proxies.get(name);
        if (proxy !== undefined && isConnected(proxy, now) && proxy.hello.acknowledged !== group.ruleset.version) behind++;
      }
    }
    return behind;
  }

  /** Takes what is halted now. Nothing is compiled for it, however many rulesets there are. */
  changeHalts(): void {
    for (const group of this.#groups.values()) this.#want(group);
    this.#tell();
  }

  /** Looks again what each proxy's share of the budget is: who shares it may have changed. */
  reshare(): void {
    if (this.#divide()) for (const group of this.#groups.values()) this.#want(group);
  }

  /**
   * Answers a proxy's poll: at once when there is something else to run than what it has, else after the wait.
   *
   * @param waitMs how long nothing new may be waited for
   * @param leaving aborted when the client is gone
   */
  poll(hello: Hello, waitMs: number, leaving: Leaving): Promise<PollAnswer> {
    const proxy = this.#meet(hello);
    proxy.waiter?.settle({ kind: 'nothing-new', version: proxy.group.ruleset.version });
    if (!hello.layoutFits) return Promise.resolve({ kind: 'layout' });
    if (!this.#mayServe(proxy.group)) return Promise.resolve({ kind: 'stale' });
    const { ruleset } = proxy.group;
    // Every answer renews the lease, and it would go on with the faults that are to be halted.
    if (ruleset.halted && hasRefused(proxy, ruleset)) return Promise.resolve({ kind: 'lapse' });
    proxy.renewed = this.#options.runtime.clock.now();
    if (ruleset.version !== hello.has) return Promise.resolve(sent(proxy, ruleset));
    if (waitMs <= 0 || this.ending.aborted) return Promise.resolve({ kind: 'nothing-new', version: ruleset.version });
    return this.#wait(proxy, waitMs, leaving);
  }

  /** Answers every waiting poll, and from now on every poll at once. */
  drain(): void {
    this.#ending.abort();
    for (const proxy of this.#proxies.values()) proxy.waiter?.settle({ kind: 'nothing-new', version: proxy.group.ruleset.version });
  }

  /** Ends all timers. */
  stop(): void {
    this.drain();
    this.#ends.stop();
    for (const proxy of this.#proxies.values()) proxy.cancelTimer();
  }

  /** Aborted when this replica drains: whoever waits for the fleet waits no longer. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  get proxies(): Iterable<KnownProxy> {
    return this.#proxies.values();
  }

  /** The namespace of the proxy that has this name now; undefined when none has. */
  namespaceOf(name: string): string | undefined {
    return this.#proxies.get(name)?.hello.namespace;
  }

  get waiting(): number {
    let waiting = 0;
    for (const proxy of this.#proxies.values()) if (proxy.waiter !== undefined) waiting++;
    return waiting;
  }

  /** Names of the connected proxies that a selector names, in order. */
  selectedBy(selector: Policy['spec']['selector']): string[] {
    const now = this.#options.runtime.clock.now();
    const names: string[] = [];
    for (const group of this.#groups.values()) {
      if (!readable(group.identity) || !selects(selector, group.identity)) continue;
      for (const name of group.proxies) {
        const proxy = this.#proxies.get(name);
        if (proxy !== undefined && isConnected(proxy, now)) names.push(name);
      }
    }
    return names.sort();
  }

  /**
   * The first proxy of this replica whose ruleset would grow beyond what a filter takes, were this policy in force; undefined when there is none.
   */
  overfilledBy(policy: Policy): { readonly proxy: string; readonly bytes: number } | undefined {
    const now = this.#options.runtime.clock.now();
    const added = { policy, appliedAt: now };
    const alone = compileRuleset([added], now).length;
    const live = [...this.#policies.values()].filter(({ ended }) => ended === undefined);
    const others = live.filter((stored) => stored.policy.metadata.name !== policy.metadata.name);
    const looked = new Set<string>();
    for (const { identity, ruleset, proxies } of this.#groups.values()) {
      // Far from the bound nothing is compiled for the question alone.
      if (ruleset.bytes.length + alone <= MAX_RULESET_BYTES / 2 || looked.has(ruleset.version)) continue;
      if (!readable(identity) || !selects(policy.spec.selector, identity)) continue;
      looked.add(ruleset.version);
      const bytes = this.#compiler.fullLength([...others, added], identity, now);
      const [proxy] = proxies;
      if (proxy === undefined || bytes <= MAX_RULESET_BYTES) continue;
      // What makes it smaller is welcome, also when it is still too large.
      if (bytes > this.#compiler.fullLength(live, identity, now)) return { proxy, bytes };
    }
    return undefined;
  }

  /** Calls `listener` after anything changed that a rollout depends on; many changes at once are told once. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #wait(proxy: KnownProxy, waitMs: number, leaving: Leaving): Promise<PollAnswer> {
    return new Promise((resolve) => {
      const settle = (answer: PollAnswer): void => {
        if (proxy.waiter !== waiter) return;
        proxy.waiter = undefined;
        cancel();
        leaving.removeEventListener('abort', leave);
        proxy.lastSeen = this.#options.runtime.clock.now();
        this.#watchSilence(proxy);
        const served = this.#mayServe(proxy.group);
        if (served) proxy.renewed = proxy.lastSeen;
        if (served && answer.kind === 'ruleset') sent(proxy, answer.ruleset);
        resolve(served ? answer : { kind: 'stale' });
      };
      const leave = (): void => {
        if (proxy.waiter !== waiter) return;
        proxy.gone = true;
        settle({ kind: 'nothing-new', version: proxy.group.ruleset.version });
        this.#tell();
      };
      const waiter = { settle };
      const cancel = this.#options.runtime.timers.after(waitMs, () =>
        settle({ kind: 'nothing-new', version: proxy.group.ruleset.version }),
      );
      proxy.waiter = waiter;
      proxy.cancelTimer();
      leaving.addEventListener('abort', leave);
      if (leaving.aborted) leave();
    });
  }

  /** A copy of the policies that may be old is good enough for who is to do nothing. */
  #mayServe(group: Group): boolean {
    return group.ruleset.halted || this.#options.fresh();
  }

  /** Notes what a poll says of its proxy, and puts the proxy into its group. */
  #meet(hello: Hello): KnownProxy {
    const now = this.#options.runtime.clock.now();
    const known = this.#proxies.get(hello.name);
    const group = known !== undefined && isSameStanding(known.hello, hello) ? known.group : this.#groupFor(hello);
    if (known === undefined) {
      const proxy: KnownProxy = {
        hello,
        group,
        firstSeen: now,
        acknowledgedAt: hello.acknowledged === '' ? undefined : now,
        lastSeen: now,
        traffic: new Traffic(),
        renewed: undefined,
        sent: undefined,
        waiter: undefined,
        gone: false,
        cancelTimer: () => undefined,
      };
      proxy.traffic.take(hello.requests, this.#options.runtime.clock.elapsed());
      this.#proxies.set(hello.name, proxy);
      group.proxies.add(hello.name);
      this.reshare();
      this.#watchSilence(proxy);
      this.#tell();
      return proxy;
    }
    const news = known.hello.acknowledged !== hello.acknowledged || known.gone || known.group !== group;
    if (known.group !== group) {
      this.#leaveGroup(known);
      group.proxies.add(hello.name);
      known.group = group;
      this.reshare();
    }
    if (known.hello.acknowledged !== hello.acknowledged) known.acknowledgedAt = hello.acknowledged === '' ? undefined : now;
    known.hello = hello;
    known.traffic.take(hello.requests, this.#options.runtime.clock.elapsed());
    known.lastSeen = now;
    known.gone = false;
    this.#watchSilence(known);
    if (news) this.#tell();
    return known;
  }

  #groupFor(hello: Hello): Group {
    // Who can't say where it stands must not get a fault that was meant for a place: it gets the empty ruleset.
    const unreadable = hello.unreadable.length > 0 || hello.namespace === '';
    const identity: Identity = unreadable
      ? { namespace: '', workload: '', labels: {} }
      : { namespace: hello.namespace, workload: hello.workload, labels: hello.labels };
    const choice = unreadable ? '' : this.#choices.of(hello.name);
    const key = identityKey(identity) + choice;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const compiled = this.#compile(identity, choice);
    const group = new Group({ key, identity, choice, compiled, ruleset: this.#marked(identity, compiled) });
    this.#groups.set(key, group);
    return group;
  }

  /** Puts proxies into other groups that policies chose, or chose no longer, and wakes those that should run something else. */
  #regroup(names: Iterable<string>): void {
    const moved: { readonly proxy: KnownProxy; readonly version: string }[] = [];
    for (const name of names) {
      const proxy = this.#proxies.get(name);
      const group = proxy === undefined ? undefined : this.#groupFor(proxy.hello);
      if (proxy === undefined || group === undefined || group === proxy.group) continue;
      moved.push({ proxy, version: proxy.group.ruleset.version });
      this.#leaveGroup(proxy);
      group.proxies.add(name);
      proxy.group = group;
    }
    // Before any of them is told what it may do.
    this.reshare();
    for (const { proxy, version } of moved) if (proxy.group.ruleset.version !== version) this.#wake(proxy);
  }

  #leaveGroup(proxy: KnownProxy): void {
    proxy.group.proxies.delete(proxy.hello.name);
    if (proxy.group.proxies.size === 0) this.#groups.delete(proxy.group.key);
  }

  #compile(identity: Identity, choice: string): Ruleset {
    const policies = readable(identity) ? [...this.#policies.values()] : [];
    const kept = policies.filter(({ policy }) => !this.#ends.isAbandoned(policy.metadata.name));
    return this.#compiler.compile(kept, identity, this.#options.runtime.clock.now(), choice);
  }

  /** @returns whether each proxy's share of the budget is another now */
  #divide(): boolean {
    if (!this.#budget.limited) return false;
    let faulted = 0;
    for (const group of this.#groups.values()) if (group.compiled.policies.length > 0) faulted += group.proxies.size;
    return this.#budget.divide(faulted);
  }

  #marked({ namespace }: Identity, compiled: Ruleset): Ruleset {
    const budget = compiled.policies.length === 0 ? 0 : this.#budget.share;
    return markedRuleset(compiled, { halted: this.#options.halted(namespace), budget });
  }

  /** Compiles anew for the identities that `concerned` picks, and wakes their proxies where the bytes changed. */
  #refresh(concerned: (identity: Identity) => boolean): void {
    const compiled: Group[] = [];
    for (const group of this.#groups.values()) {
      if (!concerned(group.identity)) continue;
      group.compiled = this.#compile(group.identity, group.choice);
      compiled.push(group);
    }
    // Nobody is told of a fault with a share that was for fewer.
    for (const group of this.#divide() ? this.#groups.values() : compiled) this.#want(group);
  }

  /** Sets what a group's proxies should run, and wakes them when that is something else than before. */
  #want(group: Group): void {
    const before = group.ruleset.version;
    group.ruleset = this.#marked(group.identity, group.compiled);
    if (group.ruleset.version === before) return;
    for (const name of group.proxies) this.#wake(this.#proxies.get(name));
  }

  /** Gives a proxy that waits what it should run. */
  #wake(proxy: KnownProxy | undefined): void {
    if (proxy?.waiter === undefined) return;
    this.#options.woken();
    proxy.waiter.settle({ kind: 'ruleset', ruleset: proxy.group.ruleset });
  }

  /** Tells when a silent proxy stops being connected, and forgets it later. */
  #watchSilence(proxy: KnownProxy): void {
    proxy.cancelTimer();
    if (proxy.waiter !== undefined) return;
    const { clock, timers } = this.#options.runtime;
    const now = clock.now();
    const until = isConnected(proxy, now) ? connectedUntil(proxy) : listedUntil(proxy);
    proxy.cancelTimer = timers.after(until - now + 1, () => {
      if (proxy.waiter !== undefined) return;
      if (clock.now() >= listedUntil(proxy)) {
        this.#proxies.delete(proxy.hello.name);
        this.#leaveGroup(proxy);
        this.reshare();
      } else this.#watchSilence(proxy);
      this.#tell();
    });
  }

  #tell(): void {
    if (this.#telling || this.#listeners.size === 0) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

function readable(identity: Identity): boolean {
  return identity.namespace !== '';
}
