import { drawApply, type History, NAMES, NAMESPACES, specOf } from './applies.ts';
import { askOver, type HttpAnswer } from './http.ts';
import { Violation } from './invariants.ts';
import type { Network } from './network.ts';
import { type Replica, TOKENS } from './replica.ts';
import type { Scheduler } from './scheduler.ts';

const TIMEOUT_MS = 6000;

/** A user who applies, deletes and reads policies, and whether what was acknowledged stays. */
export class Writer {
  readonly name = 'writer';
  acknowledged = 0;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #history: History;
  readonly #replicas: readonly Replica[];
  readonly #dice;
  readonly #fail: (violation: Violation) => void;
  #count = 0;
  /** Some runs are without halts. */
  readonly #halting: boolean;
  #stopped = false;

  constructor(
    scheduler: Scheduler,
    network: Network,
    history: History,
    replicas: readonly Replica[],
    fail: (violation: Violation) => void,
  ) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.#history = history;
    this.#replicas = replicas;
    this.#dice = scheduler.fork();
    this.#halting = this.#dice.oneIn(2);
    this.#fail = fail;
  }

  /** Goes on until `stop`, about every `meanMs`. */
  start(meanMs: number): void {
    this.#scheduler.after(this.#dice.below(meanMs * 2), () => {
      if (this.#stopped) return;
      this.#act();
      this.start(meanMs);
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Reads something from a replica. */
  read(replica: Replica, path: string, done: (status: number, body: unknown) => void): void {
    this.#ask(replica, 'GET', path, undefined, (answer) => {
      done(answer?.status ?? 0, answer === undefined ? undefined : bodyOf(answer));
    });
  }

  #act(): void {
    const replica = this.#dice.pick(this.#replicas);
    const kind = this.#dice.below(10);
    if (this.#halting && this.#dice.oneIn(8)) this.#halt(replica);
    else if (this.#history.halts.inForce().length > 0 && this.#dice.oneIn(3)) this.#resume(replica);
    else if (kind < 6) this.#put(replica);
    else if (kind < 8) this.#delete(replica, this.#dice.pick(NAMES));
    else this.#get(replica, this.#dice.pick(NAMES));
  }

  #put(replica: Replica): void {
    const apply = drawApply(this.#dice, this.#count++);
    this.#history.expect(apply);
    const body = JSON.stringify({ metadata: { name: apply.name }, spec: specOf(apply) });
    this.#ask(replica, 'PUT', `/v1/policies/${apply.name}`, body, (answer) => {
      if (answer === undefined || (answer.status !== 200 && answer.status !== 201)) return;
      this.acknowledged++;
      const revision = revisionOf(answer);
      const committed = this.#history.byTag.get(apply.tag);
      if (committed?.revision !== revision) {
        this.#fail(
          new Violation(`${apply.tag} was acknowledged at revision ${revision}, and etcd has ${committed?.revision ?? 'nothing'}`),
        );
      }
    });
  }

  #halt(replica: Replica): void {
    const namespace = this.#dice.oneIn(2) ? null : this.#dice.pick(NAMESPACES);
    this.#history.halts.asked++;
    const body = JSON.stringify({ reason: 'simulated', id: `halt-${this.#count++}`, ...(namespace === null ? {} : { namespace }) });
    this.#ask(replica, 'POST', '/v1/halt', body, (answer) => {
      if (answer === undefined || (answer.status !== 200 && answer.status !== 202)) return;
      this.acknowledged++;
      this.#history.halts.acknowledged.push({ namespace, by: answer.by, at: answer.sentAt });
    });
  }

  #resume(replica: Replica): void {
    const { namespace } = this.#dice.pick(this.#history.halts.inForce());
    this.#history.halts.expectResume(namespace, this.#scheduler.now);
    this.#ask(replica, 'DELETE', `/v1/halt${namespace === null ? '' : `?namespace=${namespace}`}`, undefined, () => undefined);
  }

  #delete(replica: Replica, name: string): void {
    this.#history.expectRemoval(name);
    this.#ask(replica, 'DELETE', `/v1/policies/${name}`, undefined, (answer) => {
      if (answer !== undefined && answer.status >= 400 && answer.status < 500) this.#history.refuseRemoval(name);
      if (answer?.status !== 200) return;
      this.acknowledged++;
      const revision = Number((bodyOf(answer) as { resourceVersion: string }).resourceVersion);
      const gone = this.#history.held(name).some(({ over }) => over?.revision === revision);
      if (!gone) this.#fail(new Violation(`the removal of ${name} was acknowledged at revision ${revision}, and etcd has none`));
    });
  }

  /** What is read must have been there at some moment between question and answer. */
  #get(replica: Replica, name: string): void {
    const asked = this.#scheduler.now;
    this.#ask(replica, 'GET', `/v1/policies/${name}`, undefined, (answer) => {
      if (answer === undefined || answer.by === '' || (answer.status !== 200 && answer.status !== 404)) return;
      const all = this.#history.held(name);
      if (answer.status === 404) {
        const always = all.some(({ at, over }) => at <= asked && over === undefined);
        if (always) this.#fail(new Violation(`${name} was not found, and is there since before it was asked for`));
        return;
      }
      const revision = revisionOf(answer);
      const found = all.find((one) => one.revision === revision);
      if (found === undefined) this.#fail(new Violation(`${name} was read at revision ${revision}, at which etcd never had it`));
      else if (found.over !== undefined && found.over.at < asked) {
        this.#fail(
          new Violation(`${name} was read at revision ${revision}, over ${Math.round(asked - found.over.at)} ms before it was asked for`),
        );
      }
    });
  }

  #ask(replica: Replica, method: string, path: string, body: string | undefined, done: (answer: HttpAnswer | undefined) => void): void {
    const headers = { authorization: `Bearer ${TOKENS.admin}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const request = { method, path, headers, ...(body === undefined ? {} : { body }) };
    askOver({ scheduler: this.#scheduler, network: this.#network }, this.name, replica, request, TIMEOUT_MS, (answer) => {
      this.#scheduler.note(`${method} ${path} at ${replica.name} -> ${answer?.status ?? 'no answer'}`);
      done(answer);
    });
  }
}

function bodyOf({ body }: HttpAnswer): unknown {
  return JSON.parse(Buffer.from(body).toString());
}

function revisionOf({ headers }: HttpAnswer): number {
  return Number((headers.find(([name]) => name === 'etag')?.[1] ?? '').replaceAll('"', ''));
}
