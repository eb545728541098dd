import assert from 'node:assert/strict';
import { asOneDocument } from '../../services/policy/regex/work.ts';
import { policy } from '../../services/policy/schema.ts';

const abort = { httpStatus: 503 };

/** What is wrong with a document of a rule for each expression: the rule's number, and the words. */
function refused(expressions: readonly string[]): [rule: number, message: string][] {
  const rules = expressions.map((regex) => ({ match: { path: { regex } }, fault: { abort } }));
  const { error } = asOneDocument(() => policy.safeParse({ metadata: { name: 'p' }, spec: { rules } }));
  return (error?.issues ?? []).map(({ path, message }) => {
    assert.deepEqual([path[0], path[1], ...path.slice(3)], ['spec', 'rules', 'match', 'path', 'regex']);
    return [Number(path[2]), message];
  });
}

const heavy = (count: number, length = 480): string[] => Array.from({ length: count }, (_, i) => `/${'a'.repeat(i % 9)}${i}.{0,${length}}`);

describe('regular expressions of one document', function () {
  this.timeout(60_000);

  it('refuses the first beyond, whatever was compiled before', () => {
    const [first, second] = [refused(heavy(40)), refused(heavy(40))];
    const [[rule, message] = [0, '']] = first;
    assert.ok(rule > 15 && rule < 30, `rule ${rule}`);
    assert.match(message, /2000000 steps/);
    assert.equal(first.length, 40 - rule);
    assert.deepEqual(second, first);
    // The next document begins with nothing spent.
    assert.deepEqual(refused(heavy(rule)), []);
  });

  it('takes a thousand usual ones, and one expression as often as it comes', () => {
    assert.deepEqual(refused(Array.from({ length: 1000 }, (_, i) => `/api/v${i}/[a-z]+/\\d{1,6}`)), []);
    assert.deepEqual(refused(Array.from({ length: 1000 }, () => `/a.{0,480}`)), []);
  });

  it('counts those that are refused as too large', () => {
    const messages = refused(Array.from({ length: 200 }, (_, i) => `\\pL{${300 + i}}`));
    assert.match(messages[0]?.[1] ?? '', /^regex too large/);
    assert.match(messages.at(-1)?.[1] ?? '', /2000000 steps/);
  });
});
