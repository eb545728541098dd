import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { policyPage } from '../../build/docs/policy.ts';
import { readLines } from './files.ts';
import { type Sentence, sentencesOf } from './sentences.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const NOTHING = /^nothing: it \S/;

/** A sentence as `promises.txt` has it, with what shows that it is kept. */
interface Kept extends Sentence {
  readonly shownBy: readonly string[];
}

function keptIn(text: string): Kept[] {
  const [, ...sections] = text.split(/^## /m);
  return sections.flatMap((section) => {
    const [place = '', ...entries] = section.trim().split('\n\n');
    return entries.map((entry) => {
      const [first = '', ...shownBy] = entry.split('\n');
      return { place, text: first, shownBy: shownBy.map((line) => line.replace(/^- /, '')) };
    });
  });
}

const caseNames = readLines(globSync(path.join(import.meta.dirname, '*.jsonl'))).map(({ value }) => (value as { name: string }).name);

/** Whether a case of that name is there, some that begin so when ` …` stands behind, or a test whose file has that text. */
function isThere(proof: string): boolean {
  if (proof.startsWith('test/')) {
    const [file = '', ...title] = proof.split(': ');
    const at = path.join(ROOT, file);
    return title.length > 0 && existsSync(at) && readFileSync(at, 'utf8').includes(title.join(': '));
  }
  if (proof.endsWith(' …')) return caseNames.some((name) => name.startsWith(proof.slice(0, -2)));
  return caseNames.includes(proof);
}

const named = ({ place, text }: Sentence): string => `${place}: ${text}`;

describe('conformance: every sentence of the policy reference', () => {
  const kept = keptIn(readFileSync(path.join(import.meta.dirname, 'promises.txt'), 'utf8'));
  const sentences = sentencesOf(policyPage());

  it('is in promises.txt, in the order of the page', () => {
    assert.deepEqual(kept.map(named), sentences.map(named));
  });

  it('has a case or a test that shows it, or promises nothing', () => {
    const bare = kept.filter(({ shownBy }) => shownBy.length === 0 || (shownBy.length > 1 && shownBy.some((proof) => NOTHING.test(proof))));
    assert.deepEqual(bare.map(named), []);
  });

  it('has none that are not there', () => {
    const missing = kept.flatMap((one) =>
      one.shownBy.filter((proof) => !NOTHING.test(proof) && !isThere(proof)).map((proof) => `${named(one)} ← ${proof}`),
    );
    assert.deepEqual(missing, []);
  });

  it('is found on the page', () => {
    // What divides the page mustn't lose half of it.
    const words = (text: string): number => text.split(/\s+/).length;
    assert.ok(sentences.length > 300, `${sentences.length} sentences`);
    assert.ok(words(sentences.map(({ text }) => text).join(' ')) > 3000);
  });

  it('names each case once', () => {
    const twice = caseNames.filter((name, i) => caseNames.indexOf(name) !== i);
    assert.deepEqual(twice, []);
  });
});
