import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import path from 'node:path';
import { readLines } from './files.ts';
import { inNode } from './in-node.ts';
import { runCases } from './runner.ts';

describe('conformance: every case, against the filter in Node', () => {
  for (const file of globSync(path.join(import.meta.dirname, '*.jsonl')).sort()) {
    const lines = readLines([file]);
    it(`${path.basename(file, '.jsonl')}: ${lines.length} cases`, async () => {
      const { passed, failures } = await runCases(lines, inNode());
      assert.deepEqual(failures, []);
      assert.equal(passed, lines.length);
    });
  }
});
