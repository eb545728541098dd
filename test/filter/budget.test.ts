import assert from 'node:assert/strict';
import { Process } from '../../filter/host/process.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { markedBytes } from '../../services/control-plane/ruleset/marks.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, HIT, made } from './envoy.ts';
import { keyOf, ReportReader } from './report-reader.ts';

const FAULT = { fault: { abort: { httpStatus: 503 } } } as const;
const SECOND = 1000;
/** Nobody renews the lease here. */
const LONG = { leaseMs: 3_600_000 };

/** Gives an Envoy a policy and so many injections a second. */
function serve(envoy: Envoy, budget: number, spec: PolicyInput['spec'] = { rules: [FAULT] }, appliedAt = Math.round(envoy.now)): void {
  envoy.serveBytes(markedBytes(compileRuleset([{ policy: made('p', spec), appliedAt }], envoy.now), { halted: false, budget }));
}

/** How many of so many requests are hit, one each `everyMs`, by turns at the workers. */
function hits(envoy: Envoy, requests: number, everyMs: number): number {
  const workers = [...envoy.roots];
  let count = 0;
  for (let i = 0; i < requests; i++) {
    const [vm, root] = workers[i % workers.length] ?? [envoy.vm, 0];
    const stream = envoy.request([], vm, root);
    if (stream.replies.length === 1) count++;
    vm.end(stream);
    envoy.process.advance(everyMs);
  }
  return count;
}

describe('filter: a budget of injections', () => {
  it('of none is none', () => {
    const envoy = new Envoy(2, LONG);
    serve(envoy, 0);
    assert.equal(hits(envoy, 500, 1), 500);
  });

  it('is kept over all workers: a tenth of a second of it at once, and then so many a second', () => {
    const envoy = new Envoy(3, LONG);
    serve(envoy, 50);
    assert.equal(hits(envoy, 100, 0), 5);
    const later = hits(envoy, 20_000, 1);
    assert.ok(later >= 1000 - 1 && later <= 1000 + 1, `${later} in 20 s`);
  });

  it('is not saved up beyond that', () => {
    const envoy = new Envoy(2, LONG);
    serve(envoy, 50);
    assert.equal(hits(envoy, 1, 0), 1);
    envoy.process.advance(60 * SECOND);
    assert.equal(hits(envoy, 100, 0), 5);
  });

  it('of a few a second lets a request pass unfaulted only when they come faster', () => {
    const envoy = new Envoy(2, LONG);
    serve(envoy, 2);
    assert.equal(hits(envoy, 100, 500), 100);
    assert.equal(hits(envoy, 100_000, 1), 200);
  });

  it('of less than one a second is kept in the mean, by proxies that were idle too', () => {
    let first = 0;
    let later = 0;
    for (let i = 0; i < 400; i++) {
      const envoy = new Envoy(1, LONG, new Process({}, BigInt(i)));
      serve(envoy, 0.05);
      first += hits(envoy, 1, 0);
      later += hits(envoy, 100, 100);
    }
    // 400 proxies with a twentieth of one a second each: 20 at once, and 200 in the ten seconds after.
    assert.ok(first >= 6 && first <= 38, `${first} at once`);
    assert.ok(later >= 150 && later <= 255, `${later} in 10 s`);
  });

  it('is for all rules and policies together', () => {
    const envoy = new Envoy(1, LONG);
    const rules = [{ match: { path: { exact: '/a' } }, ...FAULT }, FAULT];
    serve(envoy, 20, { rules });
    const answers = ['/a', '/b', '/a', '/b', '/a'].map((path) => envoy.request([[':path', path]]).action);
    assert.equal(answers.filter((action) => action === HIT).length, 2);
  });

  it('goes on when the ruleset changes', () => {
    const envoy = new Envoy(1, LONG);
    serve(envoy, 100);
    assert.equal(hits(envoy, 20, 0), 10);
    serve(envoy, 100, { rules: [FAULT, FAULT] });
    assert.equal(hits(envoy, 20, 0), 0);
  });

  it('is not used up by what is in shadow, and what it lets be is counted, and leaves limits alone', () => {
    const envoy = new Envoy(1, LONG);
    const reader = new ReportReader(envoy);
    const applied = Math.round(envoy.now);
    serve(envoy, 10, { mode: 'shadow', rules: [FAULT] });
    assert.equal(hits(envoy, 50, 0), 0);
    serve(envoy, 10, { rules: [{ match: { limit: 2 }, ...FAULT }] }, applied);
    assert.equal(hits(envoy, 5, 0), 1);
    envoy.process.advance(SECOND);
    assert.equal(hits(envoy, 5, 0), 1);
    envoy.process.advance(SECOND);
    assert.equal(hits(envoy, 5, 0), 0);
    reader.during(3 * SECOND);
    assert.deepEqual(reader.of(keyOf('p', 0, applied)), { injected: 2, abort: 2, budget: 4, limit: 9, shadow: 50 });
  });
});
