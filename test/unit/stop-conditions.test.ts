import assert from 'node:assert/strict';
import { type Answer, judge, readAnswer } from '../../services/control-plane/stop-conditions/answer.ts';
import { dueAt, endBy, ends, evaluated, takenOver, unwatched, type Watched } from '../../services/control-plane/stop-conditions/watched.ts';
import { type QueryCondition, queryConditions, stopsAfter } from '../../services/policy/stop-when.ts';

const condition = (more: Partial<QueryCondition> = {}): QueryCondition => ({
  index: 0,
  query: 'up',
  limit: { side: 'above', value: 0.05 },
  forMs: 30_000,
  forText: '30s',
  onNoData: 'stop',
  ...more,
});

const holds = { kind: 'holds', value: 0.12 } as const;
const fine = { kind: 'fine', value: 0.01 } as const;
const none = { kind: 'no-data', why: 'the answer has no sample' } as const;

/** What became of it after verdicts at these seconds. */
function after(of: QueryCondition, ...verdicts: readonly (readonly [number, typeof holds | typeof fine | typeof none])[]): Watched {
  return verdicts.reduce((watched, [at, verdict]) => evaluated(watched, verdict, at * 1000, at * 1000), unwatched(of));
}

describe('stop conditions', () => {
  describe("Prometheus' answers", () => {
    const vector = (...values: string[]) =>
      JSON.stringify({
        status: 'success',
        data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
      });
    const rows: [string, number, string, Answer['kind'], RegExp | number[]][] = [
      ['a vector', 200, vector('1', '0.5'), 'samples', [1, 0.5]],
      ['a scalar', 200, '{"status":"success","data":{"resultType":"scalar","result":[1,"2e3"]}}', 'samples', [2000]],
      ['infinities', 200, vector('+Inf', '-Inf'), 'samples', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
      ['NaN beside a number', 200, vector('NaN', '3'), 'samples', [3]],
      ['NaN alone', 200, vector('NaN', 'NaN'), 'none', /no sample but NaN/],
      ['a value that is no number', 200, vector(''), 'none', /no sample but NaN/],
      ['no sample', 200, vector(), 'none', /has no sample/],
      ['a range', 200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', 'bad-query', /gives a matrix/],
      ['a text', 200, '{"status":"success","data":{"resultType":"string","result":[1,"x"]}}', 'bad-query', /gives a string/],
      ['a parse error', 400, '{"status":"error","errorType":"bad_data","error":"1:3: parse error"}', 'bad-query', /1:3: parse error/],
      ['a time-out of its own', 503, '{"status":"error","errorType":"timeout","error":"took too long"}', 'none', /503: took too long/],
      ['an error of something else', 502, '<html>Bad gateway</html>', 'none', /answered 502/],
      ['a page of something else', 200, '<html>Welcome</html>', 'none', /none of Prometheus' HTTP API/],
      ['another shape', 200, '{"status":"success","data":{}}', 'none', /none of Prometheus' HTTP API/],
    ];
    for (const [name, status, text, kind, what] of rows) {
      it(`reads ${name}`, () => {
        const answer = readAnswer(status, text);
        assert.equal(answer.kind, kind);
        if (answer.kind === 'samples') assert.deepEqual(answer.values, what);
        else assert.match(answer.why, what as RegExp);
      });
    }

    it('hold when any sample is above, or below, and not when one is the same', () => {
      const samples = { kind: 'samples', values: [0.01, 0.07, 0.02] } as const;
      assert.deepEqual(judge(samples, condition()), { kind: 'holds', value: 0.07 });
      assert.deepEqual(judge(samples, condition({ limit: { side: 'above', value: 0.07 } })), { kind: 'fine', value: 0.07 });
      assert.deepEqual(judge(samples, condition({ limit: { side: 'below', value: 0.015 } })), { kind: 'holds', value: 0.01 });
      assert.deepEqual(judge(samples, condition({ limit: { side: 'below', value: 0.01 } })), { kind: 'fine', value: 0.01 });
    });

    it('are looked through also when they are many', () => {
      const values = Array.from({ length: 300_000 }, (_, i) => i);
      assert.deepEqual(judge({ kind: 'samples', values }, condition()), { kind: 'holds', value: 299_999 });
    });
  });

  describe('the time', () => {
    it('counts from the query whose answer held first, and one fine answer begins it anew', () => {
      const of = condition();
      assert.equal(dueAt(after(of, [1, fine], [2, holds], [3, holds])), 32_000);
      assert.equal(dueAt(after(of, [1, holds], [2, fine])), undefined);
      assert.equal(dueAt(after(of, [1, holds], [2, fine], [3, holds])), 33_000);
    });

    it('ends at an answer that holds when it is over, not before', () => {
      const watched = after(condition(), [1, holds], [31, holds]);
      assert.equal(ends(watched, 30_999), false);
      assert.equal(ends(watched, 31_000), true);
      assert.equal(endBy(watched, 5).why, 'prometheus: up was 0.12, above 0.05 for 30s');
    });

    it('of 0s ends at the first answer that holds', () => {
      assert.equal(ends(after(condition({ forMs: 0, forText: '0s' }), [1, holds]), 1000), true);
    });

    it('goes on when there is no data', () => {
      const watched = after(condition(), [1, holds], [2, none], [31, holds]);
      assert.equal(ends(watched, 31_000), true);
      assert.equal(endBy(watched, 5).why, 'prometheus: up was 0.12, above 0.05 or without data for 30s');
      assert.equal(endBy(after(condition(), [1, none]), 5).why, 'prometheus: up gave no data for 30s: the answer has no sample');
      const last = endBy(after(condition(), [1, holds], [2, none]), 5).why;
      assert.equal(last, 'prometheus: up gave no data (the answer has no sample), above 0.05 or without data for 30s');
    });

    it('is not touched by missing data that is ignored, which also ends nothing', () => {
      const of = condition({ onNoData: 'ignore' });
      assert.equal(dueAt(after(of, [1, none], [2, none])), undefined);
      const held = after(of, [1, holds], [2, none]);
      assert.equal(dueAt(held), 31_000);
      assert.equal(ends(after(of, [1, holds], [31, none]), 32_000), false);
      assert.equal(ends(after(of, [1, holds], [31, none], [32, holds]), 32_000), true);
    });

    it('is taken over from another replica, unless it does not hold here', () => {
      const of = condition();
      const unseen = takenOver(unwatched(of), 5000);
      assert.equal(ends(unseen, 60_000), false);
      assert.equal(dueAt(evaluated(unseen, holds, 9000, 9000)), 35_000);
      assert.equal(dueAt(evaluated(unseen, fine, 9000, 9000)), undefined);
      assert.equal(dueAt(takenOver(after(of, [9, holds]), 5000)), 35_000);
      assert.equal(dueAt(takenOver(after(of, [9, fine]), 5000)), undefined);
    });

    it('shows a long query only in part', () => {
      const { why } = endBy(after(condition({ query: 'x'.repeat(2000) }), [1, holds]), 5);
      assert.equal(why.length, `prometheus: ${'x'.repeat(200)}… was 0.12, above 0.05 for 30s`.length);
    });
  });

  it('in a policy: queries and a number of requests side by side, each with its own place', () => {
    const stopWhen = [
      { injected: 9 },
      { prometheus: 'up', below: 1 },
      { injected: 5 },
      { prometheus: 'x', above: 0, for: '1m', onNoData: 'ignore' as const },
    ];
    assert.equal(stopsAfter(stopWhen), 5);
    assert.equal(stopsAfter([{ prometheus: 'up', below: 1 }]), undefined);
    assert.deepEqual(queryConditions(stopWhen), [
      { index: 1, query: 'up', limit: { side: 'below', value: 1 }, forMs: 10_000, forText: '10s', onNoData: 'stop' },
      { index: 3, query: 'x', limit: { side: 'above', value: 0 }, forMs: 60_000, forText: '1m', onNoData: 'ignore' },
    ]);
  });
});
