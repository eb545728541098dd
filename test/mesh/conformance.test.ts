import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import path from 'node:path';
import { readLines } from '../conformance/files.ts';
import { inEnvoy } from '../conformance/in-envoy.ts';
import { runCases } from '../conformance/runner.ts';

/** Of the cases that Node runs all of, one in so many: `npm run conformance -- --in envoy` runs every one. */
const ONE_IN = 10;

describe('mesh: conformance', () => {
  it(`one case in ${ONE_IN} comes to the same in a real Envoy`, async function () {
    this.timeout(60_000);
    const files = globSync(path.join(import.meta.dirname, '../conformance/*.jsonl')).sort();
    // A share may miss its 99.9 % interval once in a thousand runs, too often for a test that must always hold.
    const hasShare = (value: unknown): boolean => JSON.stringify(value).includes('"rate":');
    // Only Istio's own Envoy is told of the caller's workload; `peer.test.ts` is about that.
    const hasPeer = (value: unknown): boolean => JSON.stringify(value).includes('"peer":');
    const lines = readLines(files).filter(({ value }, i) => i % ONE_IN === 0 && !hasShare(value) && !hasPeer(value));
    assert.ok(lines.length >= 60, `only ${lines.length} cases`);
    const host = await inEnvoy();
    const { failures } = await runCases(lines, host).finally(() => host.end());
    assert.deepEqual(failures, []);
  });
});
