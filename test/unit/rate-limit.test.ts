import assert from 'node:assert/strict';
import { Problem } from '../../services/control-plane/api/problem.ts';
import { RateLimit } from '../../services/control-plane/api/rate-limit.ts';

describe('a rate limit', () => {
  let now = 0;
  const clock = { now: () => now, elapsed: () => now };
  const taken = (limit: RateLimit, name: string): number => {
    for (let count = 0; ; count++) {
      try {
        limit.take(name);
      } catch (error) {
        assert.ok(error instanceof Problem);
        return count;
      }
    }
  };
  beforeEach(() => {
    now = 0;
  });

  it('lets a burst through at once, then so many a second, for each name', () => {
    const limit = new RateLimit(10, 20, clock);
    assert.equal(taken(limit, 'a'), 20);
    assert.equal(taken(limit, 'b'), 20);
    now = 500;
    assert.equal(taken(limit, 'a'), 5);
    now = 3_600_000;
    assert.equal(taken(limit, 'a'), 20, 'no more than the burst is saved up');
  });

  it('says what was too much, and when to come back', () => {
    const limit = new RateLimit(0.5, 1, clock, 'reads');
    limit.take('a');
    assert.throws(
      () => limit.take('a'),
      (error) => error instanceof Problem && error.retryAfter === 2 && error.message === 'More than 0.5 reads a second.',
    );
  });

  it('forgets names that are rested, and none that is not', () => {
    const limit = new RateLimit(1, 10, clock);
    assert.equal(taken(limit, 'busy'), 10);
    for (let i = 0; i < 200_000; i++) {
      now = i / 100;
      limit.take(`name-${i}`);
    }
    assert.ok(limit.size < 150_000, `${limit.size} names`);
    now = 3000;
    assert.equal(taken(limit, 'busy'), 3, 'of the 10 that it had used up, 3 have come back in 3 s');
  });
});
