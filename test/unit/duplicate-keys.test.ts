import assert from 'node:assert/strict';
import { parseDocument } from 'yaml';
import { duplicateKeys } from '../../services/policy/duplicate-keys.ts';

const keys = (text: string) => duplicateKeys(parseDocument(text, { uniqueKeys: false })).map(({ key, offset }) => [key, offset]);

describe('keys that stand twice', () => {
  it('are found at every depth, with their place', () => {
    assert.deepEqual(keys('a: 1\nb: {c: 1, d: [{e: 1, e: 2}], c: 2}\na: 2\n'), [
      ['a', 40],
      ['c', 34],
      ['e', 26],
    ]);
    assert.deepEqual(keys('a: {x: 1}\nb: {x: 1}\n'), []);
  });

  it('are looked for in linear time', () => {
    const time = (count: number): number => {
      const document = parseDocument(`{${Array.from({ length: count }, (_, i) => `"k${i}": 1`).join(',')}}`, { uniqueKeys: false });
      const from = performance.now();
      assert.deepEqual(duplicateKeys(document), []);
      return performance.now() - from;
    };
    time(1000);
    // Sixteen times as many take 256 times as long when each is compared with each.
    assert.ok(time(64_000) < 60 * Math.max(time(4000), 1));
  });
});
