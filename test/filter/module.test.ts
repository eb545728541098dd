import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { FILTER_PATH } from '../../build/filter.ts';
import { filterModule } from '../support/filter-module.ts';

const SNAPSHOT = new URL('./module.snapshot.json', import.meta.url);
const MOST_BYTES = 40_000;

/** What the module asks of its host and offers it: a change here is a change of what Envoy must be able to do. */
function shape(): { imports: string[]; exports: string[] } {
  const module = filterModule();
  return {
    imports: WebAssembly.Module.imports(module)
      .map((one) => `${one.module}.${one.name}`)
      .sort(),
    exports: WebAssembly.Module.exports(module)
      .map((one) => one.name)
      .sort(),
  };
}

describe('filter: module', () => {
  it('imports and exports what the snapshot says (UPDATE_SNAPSHOT=1 writes it)', () => {
    if (process.env.UPDATE_SNAPSHOT === '1') writeFileSync(SNAPSHOT, `${JSON.stringify(shape(), null, 2)}\n`);
    assert.deepEqual(shape(), JSON.parse(readFileSync(SNAPSHOT, 'utf8')));
  });

  it(`is at most ${MOST_BYTES} bytes`, () => {
    assert.ok(readFileSync(FILTER_PATH).length <= MOST_BYTES);
  });
});
