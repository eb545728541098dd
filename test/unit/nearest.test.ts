import assert from 'node:assert/strict';
import { nearest } from '../../services/policy/nearest.ts';

const FIELDS = ['percentage', 'start_delay_ms', 'duration_seconds', 'delay', 'abort'];

describe('nearest', () => {
  const rows: [string, string | undefined][] = [
    ['percentage', 'percentage'],
    ['percent', 'percentage'],
    ['Percentage', 'percentage'],
    ['dealy', 'delay'],
    ['abrot', 'abort'],
    ['durationSeconds', 'duration_seconds'],
    ['start_delay', 'start_delay_ms'],
    ['throttle', undefined],
    ['', undefined],
  ];
  for (const [word, wanted] of rows) {
    it(`${JSON.stringify(word)} is ${wanted ?? 'near none'}`, () => assert.equal(nearest(word, FIELDS), wanted));
  }

  it('prefers a swap of two letters to two replacements', () => assert.equal(nearest('exatc', ['exams', 'exact']), 'exact'));
  it('has no answer without candidates', () => assert.equal(nearest('delay', []), undefined));
});
