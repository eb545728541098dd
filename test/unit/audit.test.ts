import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonical, contentHash, type ShownEntry } from '../../services/audit/content.ts';
import type { Verification } from '../../services/audit/finding.ts';
import { type Anchor, type Head, makeSeal, moveAnchor, NO_SEAL, type Seal, SIGNED, sealHash } from '../../services/audit/seal.ts';
import { AuditKey } from '../../services/audit/signature.ts';
import { Verifier } from '../../services/audit/verifier.ts';

const KEY = new AuditKey('the key of the control planes');

/** An audit as it lies in the store. */
interface History {
  readonly entries: ShownEntry[];
  readonly seals: Seal[];
  anchor: Anchor | undefined;
  head: Head;
  waiting: string[];
}

interface Shape {
  /** How many entries each seal has. */
  readonly seals: readonly number[];
  readonly waiting: number;
  /** How many of the seals were removed because they were old. */
  readonly forgotten: number;
  readonly signed: boolean;
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  seals: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
  waiting: fc.integer({ min: 0, max: 3 }),
  forgotten: fc.integer({ min: 0, max: 7 }),
  signed: fc.boolean(),
});

function make({ seals, waiting, forgotten, signed }: Shape): History {
  const key = signed ? KEY : undefined;
  let revision = 0;
  const entry = (): ShownEntry => {
    revision++;
    const content = {
      time: `time ${revision}`,
      actor: { name: 'ops', role: 'admin' },
      policy: `policy ${revision}`,
      before: null,
      after: {},
    };
    return { ...content, id: `id-${revision}`, resourceVersion: String(revision) };
  };
  const history: History = { entries: [], seals: [], anchor: undefined, head: { sequence: 0, hash: NO_SEAL }, waiting: [] };
  for (const count of seals) {
    const entries = Array.from({ length: count }, entry);
    history.entries.push(...entries);
    const sealed = entries.map(({ id, resourceVersion, ...content }) => {
      const hash = contentHash(content);
      return { id, resourceVersion, hash, ...(key === undefined ? {} : { signature: key.sign(SIGNED.entry, hash) }) };
    });
    const seal = makeSeal(history.head, { time: `time ${revision}`, replica: 'one', adopted: false, entries: sealed }, key);
    history.seals.push(seal);
    history.head = { sequence: seal.sequence, hash: seal.hash };
  }
  for (let i = 0; i < waiting; i++) history.entries.push(entry());
  history.waiting = history.entries.slice(history.entries.length - waiting).map(({ id }) => id);
  for (let i = 0; i < Math.min(forgotten, seals.length - 1); i++) {
    const [oldest] = history.seals.splice(0, 1);
    if (oldest === undefined) break;
    history.anchor = moveAnchor(history.anchor, oldest, key);
    history.entries.splice(0, oldest.entries.length);
  }
  return history;
}

function verify({ entries, seals, anchor, head, waiting }: History, known?: Head): Verification {
  // Without a key as well as with it, the hashes alone must tell.
  const keys = seals.some(({ signature }) => signature !== undefined) ? [KEY] : [];
  const verifier = new Verifier({ keys, known });
  verifier.takeAnchor(anchor);
  for (const seal of seals) verifier.takeSeal(seal);
  for (const entry of entries) verifier.takeEntry(entry);
  return verifier.finish({ waiting: new Set(waiting), head, anchor });
}

function found(history: History, known?: Head): string[] {
  return verify(history, known).findings.map(({ kind, of }) => `${kind} ${of}`);
}

/** Something an intruder does. @returns what must be found, or undefined when there is nothing to do it to */
type Tamper = (history: History, at: number) => string[] | undefined;

const sealedOnes = ({ entries, waiting }: History): number => entries.length - waiting.length;

const TAMPERS: Readonly<Record<string, Tamper>> = {
  'an entry is changed': (history, at) => {
    const i = at % sealedOnes(history);
    const entry = history.entries[i];
    if (entry === undefined) return undefined;
    history.entries[i] = { ...entry, actor: { name: 'nobody', role: 'admin' } };
    return [`changed ${entry.id}`];
  },
  'an entry is removed': (history, at) => {
    const [entry] = history.entries.splice(at % sealedOnes(history), 1);
    return entry && [`removed ${entry.id}`];
  },
  'an entry is put in': (history, at) => {
    const model = history.entries[at % sealedOnes(history)];
    if (model === undefined) return undefined;
    history.entries.push({ ...model, id: 'put-in', policy: 'another' });
    return ['inserted put-in'];
  },
  'an entry is written again, with the same content': (history, at) => {
    const i = at % sealedOnes(history);
    const entry = history.entries[i];
    if (entry === undefined) return undefined;
    history.entries[i] = { ...entry, resourceVersion: '1000' };
    return [`changed ${entry.id}`];
  },
  'two entries change places': (history, at) => {
    const [i, j] = [at % sealedOnes(history), (at + 1) % sealedOnes(history)];
    const [one, other] = [history.entries[i], history.entries[j]];
    if (one === undefined || other === undefined || i === j) return undefined;
    history.entries[i] = { ...other, id: one.id };
    history.entries[j] = { ...one, id: other.id };
    return [`moved ${one.id}`, `moved ${other.id}`];
  },
  'a seal is removed': (history, at) => {
    const [seal] = history.seals.splice(at % history.seals.length, 1);
    if (seal === undefined) return undefined;
    return [`seal-removed ${seal.sequence}`, ...seal.entries.map(({ id }) => `unsealed ${id}`)];
  },
  'an entry and its place in the seal are removed': (history, at) => {
    const i = at % history.seals.length;
    const seal = history.seals[i];
    const [gone, ...entries] = seal?.entries ?? [];
    if (seal === undefined || gone === undefined) return undefined;
    history.entries.splice(
      history.entries.findIndex(({ id }) => id === gone.id),
      1,
    );
    history.seals[i] = { ...seal, entries };
    return [`seal-changed ${seal.sequence}`];
  },
  'a seal is made anew': (history, at) => {
    const i = at % history.seals.length;
    const seal = history.seals[i];
    const [gone, ...entries] = seal?.entries ?? [];
    if (seal === undefined || gone === undefined) return undefined;
    history.entries.splice(
      history.entries.findIndex(({ id }) => id === gone.id),
      1,
    );
    const hash = sealHash({ ...seal, entries });
    history.seals[i] = { ...seal, entries, hash };
    return [...(seal.signature === undefined ? [] : [`seal-not-signed ${seal.sequence}`]), `seal-changed ${seal.sequence}`];
  },
  'the oldest seal is removed with its entries': (history) => {
    const [seal] = history.seals.splice(0, 1);
    if (seal === undefined) return undefined;
    history.entries.splice(0, seal.entries.length);
    return [`seal-removed ${seal.sequence}`];
  },
  'the newest seal is removed with its entries': (history) => {
    const seal = history.seals.pop();
    if (seal === undefined) return undefined;
    history.entries.splice(sealedOnes(history) - seal.entries.length, seal.entries.length);
    return [`seal-removed ${seal.sequence}`];
  },
  'what waits for its seal is taken out of the line': (history, at) => {
    const [id] = history.waiting.splice(at % Math.max(1, history.waiting.length), 1);
    return id === undefined ? undefined : [`inserted ${id}`];
  },
};

describe('the chain of the audit', () => {
  it('nothing is wrong with a history that nobody touched', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const history = make(shape);
        const { ok, entries, seals, waiting, findings, head } = verify(history);
        assert.deepEqual(findings, []);
        assert.deepEqual(
          [ok, entries, seals, waiting, head],
          [true, history.entries.length, history.seals.length, history.waiting.length, history.head],
        );
      }),
    );
  });

  for (const [what, tamper] of Object.entries(TAMPERS)) {
    it(`${what}: it is named, and nothing else is`, () => {
      let done = 0;
      fc.assert(
        fc.property(shapes, fc.nat(), (shape, at) => {
          const history = make(shape);
          const expected = tamper(history, at);
          if (expected === undefined) return;
          done++;
          assert.deepEqual(found(history).sort(), expected.sort());
        }),
        { numRuns: 300 },
      );
      assert.ok(done > 50, `done ${done} times`);
    });
  }

  it('a head that was noted is missed when all after it is taken away and the rest made to fit', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const history = make({ ...shape, seals: [1, ...shape.seals], waiting: 0, forgotten: 0 });
        const noted = history.head;
        const seal = history.seals.pop();
        if (seal === undefined) return;
        history.entries.splice(history.entries.length - seal.entries.length);
        const last = history.seals.at(-1);
        history.head = { sequence: last?.sequence ?? 0, hash: last?.hash ?? NO_SEAL };
        assert.deepEqual(found(history), [], 'without it nothing shows');
        assert.deepEqual(found(history, noted), [`head-missing ${noted.sequence}`]);
      }),
    );
  });

  it('with the key nobody else can write into it, though every hash fits', () => {
    const history = make({ seals: [2, 2], waiting: 0, forgotten: 0, signed: true });
    const thief = new AuditKey('another key altogether');
    const content = { policy: 'forged' };
    const hash = contentHash(content);
    history.entries.push({ ...content, id: 'forged', resourceVersion: '100' });
    const forged = { id: 'forged', resourceVersion: '100', hash, signature: thief.sign(SIGNED.entry, hash) };
    const seal = makeSeal(history.head, { time: '', replica: 'one', adopted: false, entries: [forged] }, thief);
    history.seals.push(seal);
    history.head = { sequence: seal.sequence, hash: seal.hash };
    assert.deepEqual(found(history), ['seal-not-signed 3', 'not-signed forged']);
  });

  it('nothing is taken for an entry from before the chain once the chain has begun', () => {
    const history = make({ seals: [2], waiting: 0, forgotten: 0, signed: true });
    const content = { policy: 'forged' };
    history.entries.push({ ...content, id: 'forged', resourceVersion: '1' });
    const entries = [{ id: 'forged', resourceVersion: '1', hash: contentHash(content) }];
    const seal = makeSeal(history.head, { time: '', replica: 'one', adopted: true, entries }, KEY);
    history.seals.push(seal);
    history.head = { sequence: seal.sequence, hash: seal.hash };
    assert.deepEqual(found(history), ['inserted forged']);
  });

  it('with the key nobody else can pretend that the oldest entries were removed as configured', () => {
    const history = make({ seals: [2, 2, 2], waiting: 0, forgotten: 1, signed: true });
    const [seal] = history.seals.splice(0, 1);
    if (seal === undefined) throw new Error('no seal');
    history.entries.splice(0, 2);
    history.anchor = moveAnchor(history.anchor, seal, new AuditKey('another key altogether'));
    assert.deepEqual(found(history), ['anchor-changed 2']);
  });

  it('a signature is for one purpose alone', () => {
    const hash = contentHash({ policy: 'x' });
    assert.ok(KEY.accepts(SIGNED.entry, hash, KEY.sign(SIGNED.entry, hash)));
    assert.ok(!KEY.accepts(SIGNED.seal, hash, KEY.sign(SIGNED.entry, hash)));
    assert.ok(!KEY.accepts(SIGNED.entry, hash, { key: KEY.id, mac: '' }));
  });

  it('the same content is the same text, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse());
        assert.equal(canonical(turned), canonical(value));
        assert.equal(canonical(JSON.parse(JSON.stringify(value))), canonical(value));
        assert.deepEqual(JSON.parse(canonical(value)), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
