import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFilter } from '../../build/filter.ts';

describe('building the filter', function () {
  this.timeout(60_000);
  const entry = 'test/bench/floor-filters/empty.ts';
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hfi-build-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('gives the same bytes again, writes nothing when nothing changed, and makes a damaged module anew', async () => {
    const path = join(folder, 'plugin.wasm');
    const first = await buildFilter(entry, path);
    const { mtimeMs } = statSync(path);
    assert.deepEqual(await buildFilter(entry, path), first);
    assert.equal(statSync(path).mtimeMs, mtimeMs);
    writeFileSync(path, 'not a module');
    assert.deepEqual(await buildFilter(entry, path), first);
    assert.equal((await buildFilter(entry, join(folder, 'other.wasm'))).sha256, first.sha256);
  });

  it('is another one from another source', async () => {
    const path = join(folder, 'plugin.wasm');
    const { sha256 } = await buildFilter(entry, path);
    assert.notEqual((await buildFilter('test/bench/floor-filters/reading.ts', path)).sha256, sha256);
  });
});
