import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import path from 'node:path';
import { byExplanation } from './by-explanation.ts';
import { readCase } from './case.ts';
import { type Line, readLines } from './files.ts';
import { runCases } from './runner.ts';

/** A multiple of it is drawn: each n-th case, from another one on in each run of the suite. */
const EACH = Number(process.env.HFI_EXPLAIN_EACH ?? 7);

/** Why a case isn't one for an explanation; undefined when it is. */
function unfit(value: unknown): string | undefined {
  const one = readCase(value);
  if ('error' in one || one.expect === undefined) return 'it is about refused policies';
  const text = JSON.stringify(one.policies);
  if (/"(after|every|sequence|limit)":/.test(text)) return 'it hangs on earlier requests';
  if (/"ifStatus":/.test(text)) return "it hangs on the service's answer";
  const { fault, policy, rule, rate } = one.expect;
  return [fault, policy, rule, rate].every((part) => part === undefined) ? 'it does not say who decides' : undefined;
}

/** The case, of whose expectation only the decision is left. */
function decided({ place, value }: Line): Line {
  const one = value as { expect: Record<string, unknown> };
  const { fault, policy, rule, rate } = one.expect;
  return { place, value: { ...one, expect: { fault, policy, rule, rate } } };
}

describe('conformance: what is explained is what the cases expect', function () {
  this.timeout(120_000);
  const lines = readLines(globSync(path.join(import.meta.dirname, '*.jsonl')).sort());
  const fit = lines.filter(({ value }) => unfit(value) === undefined);

  it('most cases are for it', () => {
    assert.ok(fit.length > lines.length / 2, `${fit.length} of ${lines.length}`);
  });

  it(`each ${EACH}th of them`, async () => {
    const first = Math.floor(Math.random() * EACH);
    const drawn = fit.filter((_, i) => i % EACH === first).map(decided);
    const { passed, failures } = await runCases(drawn, byExplanation());
    assert.deepEqual(failures, [], `of each ${EACH}th case from the ${first}th on`);
    assert.equal(passed, drawn.length);
  });
});
