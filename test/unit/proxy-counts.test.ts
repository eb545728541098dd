import assert from 'node:assert/strict';
import fc from 'fast-check';
import { COUNTER_NAMES, END_OF_COUNTERS, FIRST_COUNTER } from '../../filter/assembly/tally-layout.ts';
import {
  asValue,
  countsValue,
  folded,
  fromValue,
  hear,
  KEPT_EPOCHS,
  merge,
  noCounts,
  type ProxyCounts,
  total,
} from '../../services/control-plane/counts/proxy-counts.ts';
import { COUNTERS, larger, matched, minus, plus, type Tally } from '../../services/control-plane/counts/tally.ts';

describe('counts of a proxy', () => {
  it('have the names that the filter gives its counters', () => {
    assert.deepEqual([...COUNTERS], COUNTER_NAMES.split(' '));
    assert.equal(COUNTERS.length, (END_OF_COUNTERS - FIRST_COUNTER) / 8);
  });

  it('take of each counter the larger value, whatever the order', () => {
    assert.deepEqual(larger({ injected: 3, abort: 1 }, { injected: 2, dice: 4 }), { injected: 3, abort: 1, dice: 4 });
    const known: Tally = { injected: 3 };
    assert.equal(larger(known, { injected: 3 }), known);
  });

  it('matched is injected and all that was let be', () => {
    assert.equal(matched({ injected: 3, abort: 3, dice: 2, halt: 1, lease: 1 }), 7);
  });

  it('of several epochs add up', () => {
    const counts = noCounts();
    hear(counts, 'a', 0, { injected: 5 });
    hear(counts, 'b', 0, { injected: 2 });
    hear(counts, 'a', 0, { injected: 4 });
    hear(counts, 'b', 7, { dice: 1 });
    assert.deepEqual(
      total(counts),
      new Map<number, Tally>([
        [0, { injected: 7 }],
        [7, { dice: 1 }],
      ]),
    );
  });

  it('keep so many epochs apart, and take nothing more of those that were folded', () => {
    const counts = noCounts();
    for (let i = 0; i < KEPT_EPOCHS + 3; i++) hear(counts, `e${i}`, 0, { injected: 1 });
    const short = folded(counts);
    assert.equal(short.epochs.size, KEPT_EPOCHS);
    assert.deepEqual(total(short), total(counts));
    assert.equal(hear(short, 'e0', 0, { injected: 9 }), undefined);
    merge(short, noCounts());
    assert.deepEqual(total(short), total(counts), 'an older state changes nothing');
    merge(short, counts);
    assert.deepEqual(total(short).get(0), { injected: KEPT_EPOCHS + 3 });
  });

  it('do not grow without bounds by made-up epochs', () => {
    const counts = noCounts();
    for (let i = 0; i < 1000; i++) hear(counts, `made-up-${i}`, 0, { injected: 1 });
    assert.ok(counts.epochs.size <= 16);
  });

  it('are the same after they were written and read', () => {
    const counts = noCounts();
    for (let i = 0; i < 12; i++) hear(counts, `e${i}`, i, { injected: i, shadow: 1 });
    const short = folded(counts);
    assert.deepEqual(fromValue(countsValue.parse(JSON.parse(JSON.stringify(asValue(short))))), short);
  });

  it('what the replicas know adds up to what was counted, whatever comes twice, late, or by another way', function () {
    this.timeout(20_000);
    const events = fc.array(
      fc.record({
        kind: fc.constantFrom('count', 'report', 'report', 'stale', 'keep', 'keep', 'read', 'ask', 'restart-proxy', 'restart-replica'),
        replica: fc.nat(2),
        rule: fc.nat(2),
        pick: fc.nat(),
      }),
      // By itself fast-check draws short ones, in which no epoch is ever folded.
      { minLength: 100, maxLength: 300, size: 'max' },
    );
    fc.assert(
      fc.property(events, (all) => {
        const mesh = new Mesh();
        for (const event of all) mesh.do(event);
        mesh.settle();
        const expected = new Map([...mesh.counted].filter(([, tally]) => tally.injected !== undefined));
        for (const replica of mesh.replicas) assert.deepEqual(sorted(total(replica)), sorted(expected));
      }),
      { numRuns: 200 },
    );
  });
});

interface Event {
  readonly kind: string;
  readonly replica: number;
  readonly rule: number;
  readonly pick: number;
}

interface Sent {
  readonly epoch: string;
  readonly rule: number;
  readonly tally: Tally;
}

/** A proxy that restarts, three replicas that forget, and a store that compares and swaps. */
class Mesh {
  replicas: ProxyCounts[] = [noCounts(), noCounts(), noCounts()];
  /** What was truly counted. */
  readonly counted = new Map<number, Tally>();
  #store = noCounts();
  #epoch = 0;
  #now = new Map<number, Tally>();
  readonly #sent: Sent[] = [];
  /** Acknowledged, but by a replica that may die before it keeps it. */
  #unkept: Sent[] = [];

  do({ kind, replica, rule, pick }: Event): void {
    if (kind === 'count') {
      const one = { injected: 1 + (pick % 3) };
      this.#now.set(rule, plus(this.#now.get(rule) ?? {}, one));
      this.counted.set(rule, plus(this.counted.get(rule) ?? {}, one));
    } else if (kind === 'report') this.#report(replica);
    else if (kind === 'stale') {
      // Of the last processes only: what is older than all that is remembered can't be on its way any more.
      const recent = this.#sent.filter(({ epoch }) => Number(epoch) > this.#epoch - 40);
      const sent = recent[pick % Math.max(1, recent.length)];
      if (sent !== undefined) this.#deliver(sent, replica);
    } else if (kind === 'keep') this.#keep(replica);
    else if (kind === 'read') this.#mergeInto(replica, this.#store);
    else if (kind === 'ask') this.#mergeInto(replica, this.replicas[(replica + 1) % 3] ?? noCounts());
    else if (kind === 'restart-proxy') this.#restartProxy();
    else this.#restartReplica(replica);
  }

  /** Everything is told and kept in the end. */
  settle(): void {
    this.#report(0);
    for (const replica of [0, 1, 2, 0, 1, 2]) {
      this.#keep(replica);
      this.#mergeInto(replica, this.#store);
    }
  }

  #report(replica: number): void {
    for (const [rule, tally] of this.#now) {
      const sent = { epoch: String(this.#epoch), rule, tally };
      this.#sent.push(sent);
      this.#deliver(sent, replica);
    }
  }

  #deliver(sent: Sent, replica: number): void {
    const counts = this.replicas[replica];
    if (counts !== undefined) hear(counts, sent.epoch, sent.rule, sent.tally);
    this.#unkept.push(sent);
  }

  #keep(replica: number): void {
    const counts = this.replicas[replica];
    if (counts === undefined) return;
    merge(counts, this.#store);
    const next = folded(counts);
    this.#store = fromValue(countsValue.parse(JSON.parse(JSON.stringify(asValue(next)))));
    merge(counts, next);
    this.#unkept = [];
  }

  #mergeInto(replica: number, from: ProxyCounts): void {
    const counts = this.replicas[replica];
    if (counts !== undefined) merge(counts, from);
  }

  /** Its last counts were told, and kept. */
  #restartProxy(): void {
    this.#report(0);
    this.#keep(0);
    this.#epoch++;
    this.#now = new Map();
  }

  /** What it had not kept, the proxy tells again, as it does to a replica that it doesn't know. */
  #restartReplica(replica: number): void {
    this.replicas[replica] = noCounts();
    this.#mergeInto(replica, this.#store);
    const again = this.#unkept;
    this.#unkept = [];
    for (const sent of again) this.#deliver(sent, replica);
  }
}

function sorted(tallies: ReadonlyMap<number, Tally>): [number, Tally][] {
  return [...tallies].sort(([a], [b]) => a - b).map(([rule, tally]) => [rule, minus(tally, {})]);
}
