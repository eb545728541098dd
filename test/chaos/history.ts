import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica, Reply } from '../support/control-plane.ts';

/** An operation as `linearizability/main.go` reads it. */
export interface Operation {
  readonly client: number;
  readonly key: string;
  readonly op: 'put' | 'get' | 'delete';
  readonly value: number;
  readonly if: 'any' | 'at' | 'none';
  readonly at: number;
  readonly outcome: 'done' | 'refused' | 'absent' | 'unknown';
  readonly got: number;
  readonly call: number;
  readonly return: number;
}

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
/** Operations without an answer can have happened at any later moment: a checker needs them to be few. */
const REST_MS = 200;
/** Longer a client doesn't wait, and does not know what became of it. */
const PATIENCE_MS = 3000;
const RULES = [{ fault: { abort: { httpStatus: 503 } } }];

/** Clients that read and write a few policies, with conditions and without, and note what they asked when, and what they were told when. */
export class Recorder {
  readonly operations: Operation[] = [];
  /** The value that each version was seen with: one alone, or versions mean nothing. */
  readonly values = new Map<string, number>();
  readonly contradictions: string[] = [];
  readonly #any: () => Replica;
  readonly #running: Promise<void>[];
  #values = 0;
  #stopped = false;

  constructor(any: () => Replica, clients: number) {
    this.#any = any;
    this.#running = Array.from({ length: clients }, (_, client) => this.#run(client));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(client: number): Promise<void> {
    /** The version of each policy that this client saw last. */
    const seen = new Map<string, string>();
    while (!this.#stopped) {
      const key = KEYS[Math.floor(Math.random() * KEYS.length)] ?? 'a';
      const draw = Math.random();
      const op = draw < 0.5 ? 'get' : draw < 0.85 ? 'put' : 'delete';
      const version = Math.random() < 0.5 ? seen.get(key) : undefined;
      const condition = op === 'get' ? 'any' : version !== undefined ? 'at' : op === 'put' && Math.random() < 0.2 ? 'none' : 'any';
      const at = version === undefined ? 0 : (this.values.get(version) ?? 0);
      const value = op === 'put' ? ++this.#values : 0;
      const headers: Record<string, string> =
        condition === 'at' ? { 'if-match': version ?? '' } : condition === 'none' ? { 'if-none-match': '*' } : {};
      const call = now();
      const reply = await this.#ask(op, key, value, headers);
      if (reply === 'nobody') {
        await sleep(REST_MS);
        continue;
      }
      const operation = { client, key, op, value, if: condition, at: condition === 'at' ? at : 0, call, return: now() } as const;
      const etag = reply?.headers.get('etag') ?? '';
      if (etag !== '') seen.set(key, etag);
      this.#note(operation, reply, etag);
      await sleep(reply === undefined ? REST_MS : Math.random() * 10);
    }
  }

  /** @returns undefined when nobody knows what became of it, `nobody` when nobody was asked: a replica that isn't there */
  async #ask(op: Operation['op'], key: string, value: number, headers: Record<string, string>): Promise<Reply | 'nobody' | undefined> {
    const body = { metadata: { name: key }, spec: { priority: value, rules: RULES } };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const ask = op === 'put' ? { body, headers, signal } : { headers, signal };
    const reply = await this.#any()
      .ask(op.toUpperCase(), `/v1/policies/${key}`, ask)
      .catch((error: Error) => (error.cause as { code?: string } | undefined)?.code);
    if (reply === 'ECONNREFUSED') return 'nobody';
    return typeof reply !== 'object' || reply.status === 503 ? undefined : reply;
  }

  #note(operation: Omit<Operation, 'outcome' | 'got'>, reply: Reply | undefined, etag: string): void {
    const { op, value } = operation;
    if (reply === undefined) {
      // What was not answered was not read.
      if (op !== 'get') this.operations.push({ ...operation, outcome: 'unknown', got: 0 });
      return;
    }
    switch (reply.status) {
      case 200:
      case 201: {
        const got = op === 'get' ? (reply.body.spec as { priority: number }).priority : 0;
        this.operations.push({ ...operation, outcome: 'done', got });
        if (op !== 'delete') this.#sawVersion(etag, op === 'get' ? got : value);
        return;
      }
      case 404:
        this.operations.push({ ...operation, outcome: op === 'get' ? 'done' : 'absent', got: 0 });
        return;
      case 412:
        this.operations.push({ ...operation, outcome: 'refused', got: 0 });
        return;
      // Others wrote all the time: nothing was done.
      case 409:
        return;
      default:
        this.contradictions.push(`${op} ${operation.key}: ${reply.status} ${reply.text}`);
    }
  }

  #sawVersion(etag: string, value: number): void {
    const before = this.values.get(etag);
    if (before !== undefined && before !== value) this.contradictions.push(`${etag} is the version of ${before} and of ${value}`);
    this.values.set(etag, value);
  }
}

function now(): number {
  return Math.round(performance.now() * 1e6);
}

/**
 * The history with one answer changed: the first read that it is possible with gets what had been overwritten before it began, as from a copy that is old.
 * @returns undefined when no read of the history is such that it would be wrong
 */
export function withStaleRead(history: readonly Operation[]): Operation[] | undefined {
  for (const key of KEYS) {
    const reads = history.filter((one) => one.key === key && one.op === 'get').toSorted((one, other) => one.call - other.call);
    for (const late of reads) {
      const early = reads.find(
        ({ got, return: seen }) =>
          got !== 0 && got !== late.got && reads.some((one) => one.call > seen && one.return < late.call && one.got !== got),
      );
      if (early !== undefined) return history.map((one) => (one === late ? { ...late, got: early.got } : one));
    }
  }
  return undefined;
}
