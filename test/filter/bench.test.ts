import assert from 'node:assert/strict';
import { exactRows } from '../bench/exact.ts';
import type { Settings } from '../bench/settings.ts';
import { shareRows } from '../bench/share.ts';

const settings: Settings = { short: true, say: () => {} };

// Once and tiny, so that the benchmarks can't rot; their times are never judged here.
describe('benchmarks', function () {
  this.timeout(60_000);

  it('count what the filter asks of the host, and how big it is', async () => {
    const rows = await exactRows(settings);
    const exact = rows.filter(({ unit }) => !unit.startsWith('ns/'));
    assert.equal(exact.length, 8);
    for (const row of exact) assert.equal(row.holds, true, `${row.name}: ${row.value} ${row.unit}, bar ${row.bar}`);
    for (const row of rows) assert.ok(Number.isFinite(row.value), row.name);
  });

  it('drive a real Envoy', async () => {
    const [row] = await shareRows(settings);
    // Not the bar of the benchmark, which a true 10 % misses once in a thousand runs: only that it measured.
    assert.ok(row !== undefined && row.value > 1000 && row.value < 3000, `${row?.value} of 20,000`);
  });
});
