import assert from 'node:assert/strict';
import { Halts } from '../../services/control-plane/fleet/halts.ts';
import type { Halt, HaltStore, Kept } from '../../services/control-plane/store/halts.ts';
import { haltKey } from '../../services/control-plane/store/keys.ts';

/** What a store does with halts, as `HaltStore` says: revisions, a mark for each halt, and times without an answer. */
class ModelStore implements HaltStore {
  readonly halts = new Map<string, Halt>();
  readonly marks = new Set<string>();
  revision = 1;
  answers = true;

  async keep(halt: Halt): Promise<Kept> {
    if (!this.answers) throw new Error('no answer');
    const there = this.halts.get(haltKey(halt.namespace));
    if (there !== undefined || this.marks.has(halt.id)) return { halt: there, revision: this.revision };
    this.marks.add(halt.id);
    this.halts.set(haltKey(halt.namespace), halt);
    return { halt, revision: ++this.revision };
  }

  async lift(namespace: string | null) {
    if (!this.answers) throw new Error('no answer');
    const halt = this.halts.get(haltKey(namespace));
    if (halt !== undefined) this.revision++;
    this.halts.delete(haltKey(namespace));
    return { halt, revision: this.revision };
  }
}

/** One replica, what it has seen of the store, and its timers. */
class Replica {
  readonly followed = new Map<string, Halt>();
  readonly tasks = new Set<() => unknown>();
  readonly halts: Halts;
  readonly #store: ModelStore;
  seen = 1;

  constructor(store: ModelStore) {
    this.#store = store;
    this.halts = new Halts({
      runtime: {
        clock: { now: () => 0, elapsed: () => 0 },
        timers: {
          after: (_ms, task) => {
            this.tasks.add(task);
            return () => this.tasks.delete(task);
          },
        },
        random: () => 0,
      },
      store,
      followed: this.followed,
      seen: () => this.seen,
      changed: () => {},
      note: () => {},
    });
  }

  /** Its watch brings everything up to now. */
  see(): void {
    this.followed.clear();
    for (const [key, halt] of this.#store.halts) this.followed.set(key, halt);
    this.seen = this.#store.revision;
    this.halts.caughtUp();
  }

  /** Every timer fires. */
  async tick(): Promise<void> {
    for (const task of [...this.tasks]) {
      this.tasks.delete(task);
      await task();
    }
  }

  get reasons(): (readonly [string, boolean])[] {
    return this.halts.inForce().map(({ halt, kept }) => [halt.reason, kept]);
  }
}

const made = (reason: string, namespace: string | null = null): Halt => ({
  id: reason,
  namespace,
  by: { name: 'somebody', role: 'editor' },
  address: '',
  time: 0,
  reason,
});

describe('halts', () => {
  let store: ModelStore;
  let replica: Replica;

  beforeEach(() => {
    store = new ModelStore();
    replica = new Replica(store);
  });

  it('hold before the store answers, and go on holding without a gap when the watch brings them', async () => {
    const asked = replica.halts.halt(made('a'));
    assert.deepEqual(replica.reasons, [['a', false]]);
    assert.equal((await asked).revision, 2);
    assert.deepEqual(replica.reasons, [['a', true]]);
    replica.see();
    assert.deepEqual(replica.reasons, [['a', true]]);
    assert.equal(replica.halts.isOwn('any'), false);
    assert.equal(replica.tasks.size, 0);
  });

  it('are tried until the store takes them', async () => {
    store.answers = false;
    assert.equal((await replica.halts.halt(made('a'))).revision, undefined);
    for (let i = 0; i < 3; i++) await replica.tick();
    assert.deepEqual(replica.reasons, [['a', false]]);
    store.answers = true;
    await replica.tick();
    assert.deepEqual(replica.reasons, [['a', true]]);
    assert.equal(replica.tasks.size, 0);
  });

  it('end when they were kept and lifted before the watch brought either', async () => {
    await replica.halts.halt(made('a'));
    await store.lift(null);
    assert.deepEqual(replica.reasons, [['a', true]], 'it can not know yet');
    replica.see();
    assert.deepEqual(replica.reasons, []);
  });

  it('are kept before they are lifted, so that no late try brings them back', async () => {
    store.answers = false;
    await replica.halts.halt(made('a'));
    store.answers = true;
    await replica.halts.settle(null);
    assert.equal((await store.lift(null)).halt?.reason, 'a');
    replica.see();
    await replica.tick();
    assert.deepEqual([replica.reasons, store.halts.size], [[], 0]);
  });

  it('that others were told of come to nothing when they were kept and lifted meanwhile', async () => {
    const other = new Replica(store);
    await replica.halts.halt(made('a'));
    await store.lift(null);
    other.see();
    other.halts.hold(made('a'));
    assert.deepEqual(other.reasons, [['a', false]]);
    await other.tick();
    assert.deepEqual([other.reasons, store.halts.size, other.tasks.size], [[], 0, 0]);
  });

  it('give way to the one that came first', async () => {
    const other = new Replica(store);
    store.answers = false;
    await other.halts.halt(made('second'));
    store.answers = true;
    await replica.halts.halt(made('first'));
    await other.tick();
    assert.deepEqual(other.reasons, [['first', true]]);
    other.see();
    assert.deepEqual(other.reasons, [['first', true]]);
    assert.equal((await other.halts.halt(made('third'))).halt.reason, 'first');
  });

  it('that the store lost are kept anew, also those that were on their way to it', async () => {
    await replica.halts.halt(made('seen', 'demo'));
    replica.see();
    await replica.halts.halt(made('unseen'));
    const lost = [...store.halts.values()].filter(({ namespace }) => namespace === 'demo');
    store.halts.clear();
    store.marks.clear();
    store.revision = 1;
    replica.followed.clear();
    replica.seen = 1;
    replica.halts.lost(lost);
    replica.halts.caughtUp();
    assert.deepEqual(replica.reasons, [
      ['unseen', false],
      ['seen', false],
    ]);
    await replica.tick();
    replica.see();
    assert.deepEqual(replica.reasons, [
      ['unseen', true],
      ['seen', true],
    ]);
  });

  it('of namespaces and of everything are told apart', async () => {
    await replica.halts.halt(made('demo', 'demo'));
    assert.equal(replica.halts.of('demo')?.reason, 'demo');
    assert.equal(replica.halts.of('other'), undefined);
    assert.equal(replica.halts.over(undefined)?.reason, 'demo');
    assert.equal(replica.halts.over('other'), undefined);
    await replica.halts.halt(made('all'));
    assert.equal(replica.halts.of('other')?.reason, 'all');
    assert.deepEqual(replica.halts.counts(), { all: 1, namespaces: 1, unkept: 0 });
  });

  it('are tried no more when the replica stops', async () => {
    store.answers = false;
    await replica.halts.halt(made('a'));
    replica.halts.stop();
    assert.equal(replica.tasks.size, 0);
  });
});
