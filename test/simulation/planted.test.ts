import assert from 'node:assert/strict';
import { readPlanted } from './planted.ts';

describe('simulation: planted bugs', () => {
  it('are ten or more, each patch still applies, and says what is wrong with it', () => {
    const planted = readPlanted();
    assert.ok(planted.length >= 10, `${planted.length} bugs`);
    for (const { name, wrong } of planted) assert.match(wrong, /^[A-Z].*\.$/, name);
  });
});
