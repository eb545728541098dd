import assert from 'node:assert/strict';
import { parseDuration } from '../../services/policy/duration.ts';

describe('duration', () => {
  const rows: [string, number | undefined][] = [
    ['350ms', 350],
    ['2s', 2000],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['0.0004s', 0],
    ['0.0006s', 1],
    ['0s', 0],
    ['', undefined],
    ['2', undefined],
    ['2 s', undefined],
    ['-2s', undefined],
    ['+2s', undefined],
    ['.5s', undefined],
    ['5.s', undefined],
    ['1e3s', undefined],
    ['1h30m', undefined],
    ['2S', undefined],
    ['2d', undefined],
    ['2s\n', undefined],
    ['2constructor', undefined],
  ];
  for (const [text, ms] of rows) {
    it(`${JSON.stringify(text)} is ${ms === undefined ? 'none' : `${ms} ms`}`, () => assert.equal(parseDuration(text), ms));
  }
});
