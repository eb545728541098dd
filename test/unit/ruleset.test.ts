import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  HEADER_LENGTH,
  MAX_RULESET_BYTES,
  RULE_BYTES,
  RULE_THRESHOLD,
  TABLE_FIELD_COUNT,
  TABLE_RULES,
} from '../../filter/assembly/layout.ts';
import { Compiler } from '../../services/control-plane/fleet/group.ts';
import { adler32 } from '../../services/control-plane/ruleset/block.ts';
import { compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { chooseListed, conditionsOf, listingOf } from '../../services/control-plane/ruleset/condition.ts';
import { headerPairs } from '../../services/control-plane/ruleset/header-pairs.ts';
import { ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { buildTrie, type TrieEntry } from '../../services/control-plane/ruleset/trie.ts';
import { threshold } from '../../services/policy/percentage.ts';
import { type Match, type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';

const NOW = Date.UTC(2026, 0, 1);

function made(name: string, spec: PolicyInput['spec']): Policy {
  return policy.parse({ metadata: { name }, spec });
}

const abort503 = { abort: { httpStatus: 503 } };

describe('ruleset compiler', () => {
  it('leaves out whole policies, the last in the order of decision first, when a filter could not take all', () => {
    const fat = (name: string, priority: number) => ({
      policy: made(name, {
        priority,
        rules: Array.from({ length: 15 }, (_, i) => ({ fault: { abort: { httpStatus: 503, body: `${name}${i}${'x'.repeat(65_000)}` } } })),
      }),
      createdAt: NOW,
      appliedAt: NOW,
      revision: 1,
    });
    const told: string[][] = [];
    const compiler = new Compiler(
      () => {},
      (policies) => told.push([...policies]),
    );
    const policies = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => fat(name, name === 'f' ? 1 : 0));
    const { bytes, policies: taken } = compiler.compile(policies, { namespace: 'n', workload: 'w', labels: {} }, NOW);
    assert.ok(bytes.length <= MAX_RULESET_BYTES && bytes.length > MAX_RULESET_BYTES - 1_200_000, `${bytes.length} bytes`);
    assert.deepEqual([...taken].sort(), ['a', 'b', 'c', 'f']);
    assert.deepEqual(told, [['d', 'e']]);
  });

  it('leaves out the rules that are over before their ends, whichever they are', () => {
    const stored = {
      policy: made('p', { rules: [{ fault: abort503 }, { fault: { abort: { httpStatus: 500 } } }] }),
      createdAt: NOW,
      appliedAt: NOW,
      revision: 1,
    };
    let over: readonly number[] = [];
    const compiler = new Compiler(
      () => {},
      () => {},
      () => new Set(over),
    );
    const versions = [[], [0], [1], [0, 1]].map((now) => {
      over = now;
      return compiler.compile([stored], { namespace: 'n', workload: 'w', labels: {} }, NOW).version;
    });
    assert.equal(new Set(versions).size, 4);
    assert.equal(versions[3], rulesetVersion(compileRuleset([], NOW)));
  });

  it('gives a rule another key with each apply, and each rule its own', () => {
    const keys = ['a', 'b'].flatMap((name) =>
      [NOW, NOW + 1].flatMap((appliedAt) => [0, 1, 9999].map((i) => ruleKey(runKey(name, appliedAt), i))),
    );
    assert.equal(new Set(keys).size, keys.length);
    for (const key of keys) assert.ok(key > 1n && key < 2n ** 64n);
    const bytes = (appliedAt: number) => compileRuleset([{ policy: made('a', { rules: [{ fault: abort503 }] }), appliedAt }], NOW);
    assert.notDeepEqual(bytes(NOW), bytes(NOW + 1));
  });

  it('of a policy is what guardrails leave of the rules that are not over before their ends', () => {
    const stored = {
      policy: made('p', { rules: [{ fault: abort503 }, { match: { path: { prefix: '/b' } }, fault: abort503 }] }),
      createdAt: NOW,
      appliedAt: NOW,
      revision: 1,
    };
    const never = [{ exact: '/healthz', ignoreCase: false }];
    let over = new Set<number>();
    const compiler = new Compiler(
      () => {},
      () => {},
      () => over,
      (entry, { namespace }) => (namespace === 'closed' ? undefined : namespace === 'n' ? { ...entry, never } : entry),
    );
    const compiled = (namespace: string) => compiler.compile([stored], { namespace, workload: 'w', labels: {} }, NOW);
    const all = compiled('n');
    assert.deepEqual(all.bytes, compileRuleset([{ ...stored, never }], NOW));
    assert.deepEqual(compiled('m').bytes, compileRuleset([stored], NOW));
    over = new Set([0]);
    assert.deepEqual(compiled('n').bytes, compileRuleset([{ ...stored, never, over }], NOW));
    assert.deepEqual(compiled('m').bytes, compileRuleset([{ ...stored, over }], NOW));
    assert.equal(new Set([all, compiled('n'), compiled('m')].map(({ version }) => version)).size, 3);
    over = new Set([0, 1]);
    for (const namespace of ['n', 'm', 'closed']) assert.deepEqual(compiled(namespace).policies, [], namespace);
    over = new Set();
    assert.deepEqual([compiled('closed').policies, compiled('m').policies], [[], ['p']]);
  });

  it('gives the same bytes whatever the order of the policies', () => {
    const entries = ['a', 'b', 'c'].map((name) => ({
      policy: made(name, { rules: [{ match: { path: { prefix: `/${name}` } }, fault: abort503 }] }),
      appliedAt: NOW,
    }));
    const forward = compileRuleset(entries, NOW);
    assert.deepEqual(compileRuleset([...entries].reverse(), NOW), forward);
    assert.equal(new DataView(forward.buffer).getUint32(HEADER_LENGTH, true), forward.length);
    assert.match(rulesetVersion(forward), /^[0-9a-f]{16}$/);
  });

  it('leaves out a rule whose end has come, to the millisecond', () => {
    const entry = { policy: made('short', { rules: [{ fault: { ...abort503, duration_seconds: 10 } }] }), appliedAt: NOW };
    const empty = compileRuleset([], NOW);
    assert.notDeepEqual(compileRuleset([entry], NOW + 9_999), empty);
    assert.deepEqual(compileRuleset([entry], NOW + 10_000), empty);
  });

  it('puts the rule of the higher priority first, then goes by name', () => {
    const entry = (name: string, priority: number, percentage: number) => ({
      policy: made(name, { priority, rules: [{ fault: { ...abort503, percentage } }] }),
      appliedAt: NOW,
    });
    const bytes = compileRuleset([entry('b', 0, 20), entry('c', 5, 30), entry('a', 0, 10)], NOW);
    const view = new DataView(bytes.buffer);
    const rules = view.getUint32(view.getUint32(16, true) + TABLE_RULES, true);
    const shares = [0, 1, 2].map((i) => Math.round((view.getUint32(rules + i * RULE_BYTES + RULE_THRESHOLD, true) / 2 ** 32) * 100));
    assert.deepEqual(shares, [30, 10, 20]);
    assert.equal(view.getUint32(view.getUint32(16, true) + TABLE_FIELD_COUNT, true), 1);
  });

  it('knows 0 and 100 percent exactly, and the smallest step', () => {
    assert.equal(threshold(0), 0);
    assert.equal(threshold(100), 0xffffffff);
    assert.equal(threshold(0.0001), Math.round(2 ** 32 / 1e6));
    assert.equal(threshold(50), 2 ** 31);
  });

  it('computes Adler-32 as RFC 1950 has it', () => {
    assert.equal(adler32(new TextEncoder().encode('Wikipedia')), 0x11e60398);
    assert.equal(adler32(new Uint8Array(100_000).fill(0xff)), adlerByDefinition(new Uint8Array(100_000).fill(0xff)));
  });

  it('writes header pairs as the host reads them', () => {
    const bytes = headerPairs([
      ['X-A', 'é'],
      ['b', ''],
    ]);
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '02000000' + '03000000' + '02000000' + '01000000' + '00000000' + '782d61' + '00' + 'c3a9' + '00' + '62' + '00' + '00',
    );
  });

  it('lists a rule under the condition that fewest rules share', () => {
    const same = { path: { exact: '/same' } };
    const listings = (match: Match | undefined) => conditionsOf(match).map(listingOf);
    const rules = [1, 2, 3].map((n) => listings({ ...same, headers: [{ name: 'x-user', exact: `u${n}` }] }));
    assert.deepEqual(chooseListed(rules), [1, 1, 1]);
    assert.deepEqual(chooseListed([listings(same), listings(undefined)]), [0, -1]);
  });
});

describe('trie', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'é'), maxLength: 6 });

  it('finds just the values that are, or begin, the text', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: 30 }), text, (values, asked) => {
        const nodes = buildTrie(values.map((value, i): TrieEntry => ({ value: Buffer.from(value), exact: [i], prefix: [1000 + i] })));
        const expected = values.flatMap((value, i) => [
          ...(asked === value ? [i] : []),
          ...(Buffer.from(asked).indexOf(Buffer.from(value)) === 0 ? [1000 + i] : []),
        ]);
        assert.deepEqual(lookUp(nodes, Buffer.from(asked)).sort(), expected.sort());
      }),
      { numRuns: 2000 },
    );
  });

  it('takes thousands of values nested in one another', () => {
    const nodes = buildTrie(Array.from({ length: 4000 }, (_, i) => ({ value: Buffer.from('a'.repeat(i + 1)), exact: [], prefix: [i] })));
    assert.equal(lookUp(nodes, Buffer.from('a'.repeat(4000))).length, 4000);
    assert.ok(nodes.every((node, i) => node.firstBytes.length === 0 || node.firstChild > i));
  });
});

function lookUp(nodes: ReturnType<typeof buildTrie>, asked: Buffer): number[] {
  const found: number[] = [];
  let node = nodes[0];
  let at = 0;
  while (node !== undefined) {
    found.push(...node.prefix);
    if (at === asked.length) return [...found, ...node.exact];
    const place = node.firstBytes.indexOf(asked[at] ?? -1);
    const child = place === -1 ? undefined : nodes[node.firstChild + place];
    if (child === undefined || !asked.subarray(at).subarray(0, child.label.length).equals(child.label)) return found;
    at += child.label.length;
    node = child;
  }
  return found;
}

function adlerByDefinition(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return ((high << 16) | low) >>> 0;
}
