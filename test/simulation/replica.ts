import { pino } from 'pino';
import { SECRET_BYTES } from '../../services/control-plane/access/secret.ts';
import type { Config } from '../../services/control-plane/config.ts';
import { type ControlPlane, makeControlPlane } from '../../services/control-plane/control-plane.ts';
import type { Runtime } from '../../services/control-plane/runtime.ts';
import type { Dice } from '../fuzz/dice.ts';
import { ModelConnection, type Owner } from './etcd-connection.ts';
import type { EtcdServer } from './etcd-server.ts';
import { askOver, type HttpAnswer, type HttpRequest, type Server } from './http.ts';

/** The wall clock of a machine whose clock is right, at the simulation's beginning, in milliseconds since the epoch. */
export const EPOCH = Date.UTC(2026, 0, 1);

export const TOKENS = { admin: 'admin-token-0123456789', proxy: 'proxy-token-0123456789' } as const;

/** For how long a copy of the policies that could not be confirmed is served, in milliseconds. */
export const STALE_MS = 10_000;

/** As the product's longest timer: who waits looks at the clock again. */
const LONGEST_TIMER_MS = 60_000;

/** A replica of the control plane on a machine of its own: it can be killed, stand still, and its clock can jump. */
export class Replica implements Server {
  readonly name: string;
  /** By how much its wall clock is wrong, in milliseconds, now and ever before. */
  offset = 0;
  readonly offsets = new Set([0]);
  readonly #etcd: EtcdServer;
  readonly #dice: Dice;
  readonly #others: () => readonly Replica[];
  #running: Running | undefined;
  #starts = 0;

  /** @param others of all replicas, to ask them */
  constructor(name: string, etcd: EtcdServer, others: () => readonly Replica[]) {
    this.name = name;
    this.#etcd = etcd;
    this.#dice = etcd.scheduler.fork();
    this.#others = others;
  }

  get start(): string | undefined {
    return this.#running?.start;
  }

  get frozen(): boolean {
    return this.#running?.frozen === true;
  }

  launch(): void {
    if (this.#running !== undefined) return;
    this.#etcd.scheduler.note(`${this.name} starts`);
    const random = (): number => this.#dice.word() / 2 ** 32;
    const running = new Running(this.name, `${this.name}#${++this.#starts}`, this.#etcd, () => this.offset, random);
    this.#running = running;
    running.plane = makeControlPlane({
      config: configOf(this.name),
      runtime: running.runtime,
      log: pino({ level: 'silent' }),
      fetch: (input, init) => this.#fetch(running, input, init),
      connect: () => new ModelConnection(this.#etcd, running),
      randomBytes: () => Uint8Array.from({ length: SECRET_BYTES }, () => this.#dice.below(256)),
    });
    running.plane.start();
  }

  /** Its wall clock jumps. */
  setClock(offset: number): void {
    this.offset = offset;
    this.offsets.add(offset);
    this.#etcd.scheduler.note(`${this.name}'s clock is wrong by ${offset} ms`);
  }

  kill(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#etcd.scheduler.note(`${this.name} is killed`);
    this.#running = undefined;
    running.end();
  }

  /** Stands still, as after SIGSTOP, until `thaw`. */
  freeze(): void {
    if (this.#running === undefined) return;
    this.#etcd.scheduler.note(`${this.name} freezes`);
    this.#running.frozen = true;
  }

  thaw(): void {
    this.#running?.thaw();
  }

  serve(request: HttpRequest, signal: AbortSignal, answer: (answer: HttpAnswer) => void): void {
    this.#running?.serve(request, signal, answer);
  }

  onKill(broken: () => void): () => void {
    return this.#running?.onKill(broken) ?? (() => undefined);
  }

  /** How one replica asks another. */
  #fetch(running: Running, input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const url = new URL(String(input));
    const to = this.#others().find(({ name }) => name === url.hostname);
    return new Promise((resolve, reject) => {
      if (to === undefined) return reject(new Error(`${url.hostname} is not known`));
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      const headers = Object.fromEntries(new Headers(init?.headers));
      const sent = typeof init?.body === 'string' ? { body: init.body } : {};
      const asked = { method: init?.method ?? 'GET', path: url.pathname + url.search, headers, ...sent };
      askOver(this.#etcd, this.name, to, asked, LONGEST_TIMER_MS, (answer) =>
        running.take(() => {
          if (answer === undefined || answer.by === '') reject(new Error('no answer'));
          else resolve(new Response(Buffer.from(answer.body), { status: answer.status }));
        }),
      );
    });
  }
}

/** One process: what it waits for is gone with it. */
class Running implements Owner {
  readonly name: string;
  readonly start: string;
  readonly runtime: Runtime;
  plane: ControlPlane | undefined;
  frozen = false;
  #alive = true;
  #later: (() => void)[] = [];
  readonly #broken = new Set<() => void>();
  readonly #etcd: EtcdServer;

  constructor(machine: string, start: string, etcd: EtcdServer, offset: () => number, random: () => number) {
    this.name = machine;
    this.start = start;
    this.#etcd = etcd;
    const { scheduler } = etcd;
    const began = scheduler.now;
    this.runtime = {
      clock: { now: () => Math.floor(EPOCH + scheduler.now + offset()), elapsed: () => scheduler.now - began },
      timers: { after: (ms, task) => scheduler.after(Math.min(ms, LONGEST_TIMER_MS), () => this.take(task)) },
      random,
    };
  }

  take(task: () => void): void {
    if (!this.#alive) return;
    if (this.frozen) this.#later.push(task);
    else task();
  }

  thaw(): void {
    if (!this.frozen) return;
    this.#etcd.scheduler.note(`${this.name} goes on`);
    this.frozen = false;
    const later = this.#later;
    this.#later = [];
    // One after the other, as an event loop would.
    for (const task of later) this.#etcd.scheduler.after(0, () => this.take(task));
  }

  end(): void {
    this.#alive = false;
    for (const broken of this.#broken) broken();
  }

  onKill(broken: () => void): () => void {
    this.#broken.add(broken);
    return () => this.#broken.delete(broken);
  }

  serve({ method, path, headers, body }: HttpRequest, signal: AbortSignal, answer: (answer: HttpAnswer) => void): void {
    this.take(() => {
      const request = new Request(`http://${this.name}${path}`, { method, headers, signal, ...(body === undefined ? {} : { body }) });
      void Promise.resolve(this.plane?.fetch(request)).then(async (response) => {
        if (response === undefined) return;
        const bytes = new Uint8Array(await response.arrayBuffer());
        const named: [string, string][] = [[':status', String(response.status)], ...response.headers];
        // A process that was killed or stands still answers nothing.
        this.take(() => answer({ status: response.status, headers: named, body: bytes, sentAt: this.#etcd.scheduler.now, by: this.start }));
      });
    });
  }
}

function configOf(replica: string): Config {
  return {
    listeners: [],
    etcd: { endpoints: [], username: undefined, password: undefined, caFile: undefined, certFile: undefined, keyFile: undefined },
    tokens: Object.entries(TOKENS).map(([role, token]) => ({ name: role, role: role as keyof typeof TOKENS, token })),
    guardrails: undefined,
    ownNamespace: undefined,
    inMesh: false,
    tokenReview: undefined,
    replica,
    advertiseUrl: `http://${replica}:8080`,
    logLevel: 'silent',
    drainMs: 0,
    staleMs: STALE_MS,
    writesPerSecond: 1000,
    writeBurst: 1000,
    readsPerSecond: 1000,
    readBurst: 1000,
    pollsPerSecond: 1000,
    pollBurst: 1000,
    auditKey: undefined,
    auditKeepDays: 90,
    auditKeepEntries: 100_000,
    historyKeepDays: 30,
    historyKeepRuns: 1000,
    filterFile: undefined,
    prometheus: undefined,
  };
}
