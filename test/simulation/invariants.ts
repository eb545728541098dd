import { type Committed, type History, names } from './applies.ts';
import { halts } from './halts.ts';
import type { HttpAnswer } from './http.ts';
import { STALE_MS } from './replica.ts';
import type { Scheduler } from './scheduler.ts';
import type { Sidecar, SidecarEvents } from './sidecar.ts';

/** What must never be, found. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** How long after its lease a proxy may go on at most, in milliseconds. */
const AFTER_LEASE_MS = 1000;
/** From a ruleset's arrival until all VMs of a proxy run it. */
const TAKING_MS = 500;
/** What a replica that calls its copy current may not know of: as long as it may be unconfirmed, and what its confirmation takes. */
const UNKNOWN_MS = { stormy: STALE_MS + 2500, calm: 50 };
/** From a report to its being known to all replicas: a key is written at most once a second, in a storm after a failure or two. */
const COUNTED_MS = { stormy: 5000, calm: 4000 };

interface Heard {
  readonly at: number;
  readonly sentAt: number;
  /** Which start of which replica answered. */
  readonly by: string;
  /** The control plane's time in it, in milliseconds since the epoch. */
  readonly time: number;
}

/** What one process of a proxy heard and did. */
export interface ProcessRecord {
  readonly proxy: Sidecar;
  readonly process: number;
  /** The last answers, newest first. */
  heard: Heard[];
  /** Of each revision that was heard of and larger than all before: when. */
  readonly revisions: { readonly revision: number; readonly at: number }[];
  /** Hits by tag, in the order in which they were. */
  readonly hits: Map<string, number[]>;
  /** Its epoch, once it reported. */
  epoch: string;
  /** By tag: reports that were taken, with the start of the replica that took them. */
  readonly reported: Map<string, { readonly count: number; readonly by: string; readonly at: number }[]>;
  endedAt: number | undefined;
}

/** Watches what the proxies do, and judges each injection by what its proxy can know. */
export class Invariants implements SidecarEvents {
  readonly #scheduler: Scheduler;
  readonly #history: History;
  readonly #leaseMs: number;
  readonly #met: (start: string) => number;
  readonly #keys: (tag: string) => string;
  readonly records = new Map<string, ProcessRecord>();
  injections = 0;
  /** Nothing goes wrong in this run that slows anything down: what takes time takes less. */
  calm = false;

  /**
   * @param keys a rule's key in reports, by the apply's tag
   * @param met when a start of a replica last heard something of etcd
   */
  constructor(scheduler: Scheduler, history: History, leaseMs: number, keys: (tag: string) => string, met: (start: string) => number) {
    this.#met = met;
    this.#scheduler = scheduler;
    this.#history = history;
    this.#leaseMs = leaseMs;
    this.#keys = keys;
  }

  get #weather(): 'calm' | 'stormy' {
    return this.calm ? 'calm' : 'stormy';
  }

  record(proxy: Sidecar): ProcessRecord {
    const name = `${proxy.name}/${proxy.process}`;
    const known = this.records.get(name);
    if (known !== undefined) return known;
    const fresh: ProcessRecord = {
      proxy,
      process: proxy.process,
      heard: [],
      revisions: [],
      hits: new Map(),
      epoch: '',
      reported: new Map(),
      endedAt: undefined,
    };
    this.records.set(name, fresh);
    return fresh;
  }

  /** All processes that a proxy had. */
  recordsOf(proxy: Sidecar): ProcessRecord[] {
    return [...this.records.values()].filter((record) => record.proxy === proxy);
  }

  heard(proxy: Sidecar, answer: HttpAnswer): void {
    const record = this.record(proxy);
    // What is halted may be served from an old copy.
    const alone = answer.sentAt - this.#met(answer.by);
    if (this.#history.halts.asked === 0 && alone > UNKNOWN_MS.stormy) {
      throw new Violation(`${proxy.name}'s lease was renewed by ${answer.by}, which had heard nothing of etcd for ${Math.round(alone)} ms`);
    }
    const header = (name: string): number => Number(answer.headers.find(([key]) => key === name)?.[1] ?? Number.NaN);
    const at = this.#scheduler.now;
    record.heard = [{ at, sentAt: answer.sentAt, by: answer.by, time: header('x-hfi-time') }, ...record.heard].slice(0, 2);
    const revision = header('x-hfi-revision');
    if (revision > (record.revisions.at(-1)?.revision ?? 0)) record.revisions.push({ revision, at });
  }

  reported(proxy: Sidecar, epoch: string, body: string, by: string): void {
    const record = this.record(proxy);
    record.epoch = epoch;
    const { rules } = JSON.parse(body) as { rules: { key: string; injected?: number }[] };
    for (const { key, injected = 0 } of rules) {
      const tag = [...record.hits.keys()].find((one) => this.#keys(one) === key);
      if (tag === undefined) {
        if (injected > 0) throw new Violation(`${proxy.name} reports ${injected} hits of a rule that hit nothing there (key ${key})`);
        continue;
      }
      const seen = record.hits.get(tag)?.length ?? 0;
      if (injected > seen) throw new Violation(`${proxy.name} reports ${injected} hits of ${tag}, and hit ${seen}`);
      const known = record.reported.get(tag) ?? [];
      known.push({ count: injected, by, at: this.#scheduler.now });
      record.reported.set(tag, known);
    }
  }

  /** A proxy injected by this apply. @throws Violation */
  injected(proxy: Sidecar, tag: string): void {
    this.injections++;
    const { now } = this.#scheduler;
    const record = this.record(proxy);
    const apply = this.#history.byTag.get(tag);
    const who = `${proxy.name} injected ${tag}`;
    if (apply === undefined) throw new Violation(`${who}, which is not in etcd's history`);
    if (!names(apply.selector, proxy.workload)) throw new Violation(`${who}, which does not select it: ${JSON.stringify(apply.selector)}`);
    const [last] = record.heard;
    if (last === undefined) throw new Violation(`${who} before it heard anything`);
    if (now > last.at + this.#leaseMs + AFTER_LEASE_MS) {
      throw new Violation(`${who} ${Math.round(now - last.at)} ms after it heard last, with a lease of ${this.#leaseMs} ms`);
    }
    this.#judgeEnd(record, apply, who);
    this.#judgeOver(record, apply, last, who);
    this.#judgeHalts(record, last, who);
    const hits = record.hits.get(tag) ?? [];
    hits.push(now);
    record.hits.set(tag, hits);
    this.#judgeBudget(record, apply, last, who);
  }

  /** Ends go by the control plane's time as the proxy heard it: its clock is as wrong as the one that answered, and late by the answer's way. */
  #judgeEnd(record: ProcessRecord, { durationSeconds, appliedAt }: Committed, who: string): void {
    if (durationSeconds === 0) return;
    const end = appliedAt + durationSeconds * 1000;
    const times = record.heard.map(({ at, time }) => time + (this.#scheduler.now - at));
    const late = Math.min(...times) - end;
    if (late > 1) throw new Violation(`${who} ${late.toFixed(1)} ms after its end, by the control plane's time that it heard`);
  }

  #judgeOver({ revisions }: ProcessRecord, { over }: Committed, last: Heard, who: string): void {
    if (over === undefined) return;
    const { now } = this.#scheduler;
    const known = revisions.find(({ revision }) => revision >= over.revision);
    if (known !== undefined && now > known.at + TAKING_MS) {
      throw new Violation(
        `${who}, which was over at revision ${over.revision}; it heard of revision ${known.revision} ${Math.round(now - known.at)} ms ago`,
      );
    }
    if (last.sentAt > over.at + UNKNOWN_MS[this.#weather]) {
      throw new Violation(`${who}, by an answer that was given ${Math.round(last.sentAt - over.at)} ms after it was over`);
    }
  }

  #judgeHalts({ proxy, revisions }: ProcessRecord, last: Heard, who: string): void {
    const { now } = this.#scheduler;
    const { namespace } = proxy.workload;
    const newest = revisions.at(-1)?.revision ?? 0;
    for (const halt of this.#history.halts.kept) {
      if (!halts(halt, namespace)) continue;
      const what = `${who} while ${halt.namespace ?? 'everything'} was halted`;
      const known = revisions.find(({ revision }) => revision >= halt.revision);
      const stillKnown = newest < (halt.over?.revision ?? Number.POSITIVE_INFINITY);
      if (known !== undefined && stillKnown && now > known.at + TAKING_MS) {
        throw new Violation(`${what}; it heard of that ${Math.round(now - known.at)} ms ago`);
      }
      const over = halt.over?.at ?? Number.POSITIVE_INFINITY;
      if (last.sentAt > halt.at + UNKNOWN_MS[this.#weather] && last.sentAt < over) {
        throw new Violation(`${what}, by an answer that was given ${Math.round(last.sentAt - halt.at)} ms after that`);
      }
    }
    for (const halt of this.#history.halts.acknowledged) {
      if (!halts(halt, namespace) || halt.by !== last.by || last.sentAt <= halt.at || now <= last.at + TAKING_MS) continue;
      if (this.#history.halts.resumedSince(halt.namespace, halt.at)) continue;
      throw new Violation(
        `${who} by an answer of ${halt.by}, which had acknowledged a halt ${Math.round(last.sentAt - halt.at)} ms before`,
      );
    }
  }

  #judgeBudget(record: ProcessRecord, { tag, limit }: Committed, last: Heard, who: string): void {
    if (limit === undefined) return;
    const alone = typeof limit === 'number' ? limit : limit.fleet;
    const hits = record.hits.get(tag)?.length ?? 0;
    if (hits > alone) throw new Violation(`${who} ${hits} times, with a limit of ${JSON.stringify(limit)}`);
    if (typeof limit === 'number') return;
    const before = last.sentAt - UNKNOWN_MS[this.#weather] - COUNTED_MS[this.#weather];
    let counted = 0;
    for (const { reported } of this.records.values()) {
      counted += Math.max(0, ...(reported.get(tag) ?? []).filter(({ at }) => at < before).map(({ count }) => count));
    }
    if (counted >= limit.fleet) {
      throw new Violation(`${who} though the fleet had reported ${counted} of ${limit.fleet} long before the last answer`);
    }
  }
}
