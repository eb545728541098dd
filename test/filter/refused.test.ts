import assert from 'node:assert/strict';
import { HEADER_LAYOUT, LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { ABORT, Envoy, made } from './envoy.ts';

describe('filter: refused rulesets', () => {
  const good = compileRuleset([{ policy: made('q', { rules: [{ fault: { abort: { httpStatus: 500 } } }] }), appliedAt: 0 }], 0);
  const changed = (at: number, value: number) => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  for (const [what, bytes, reason] of [
    ['cut short', good.subarray(0, good.length - 5), 'received incompletely'],
    ['damaged', changed(good.length - 1, 0xaa), 'checksum differs'],
    ['of a newer layout', changed(HEADER_LAYOUT, LAYOUT_VERSION + 1), 'layout version not known to this filter'],
    ['something else', new TextEncoder().encode('<html>not a ruleset at all, but long enough</html>'), 'not a ruleset'],
    ['empty', new Uint8Array(), 'received incompletely'],
    ['too large', new Uint8Array(4 * 1024 * 1024 + 1), 'too large'],
  ] as const) {
    it(`${what}: the one in force stays, it is counted, logged once and reported`, () => {
      const envoy = new Envoy(2);
      envoy.serve([ABORT]);
      for (let i = 0; i < 3; i++) envoy.serveBytes(bytes, envoy.poll());
      for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).replies[0]?.status, 503);
      assert.equal(envoy.metric('rulesets_refused_total'), 3);
      assert.equal(envoy.metric('rulesets_accepted_total'), 1);
      assert.equal(envoy.process.logs.filter((line) => line.includes(reason)).length, 1);
      const call = envoy.poll();
      assert.equal(call.headers['x-hfi-refused'], `3;${reason}`);
      envoy.serveBytes(good, call);
      assert.equal(envoy.request().replies[0]?.status, 500);
    });
  }
});
