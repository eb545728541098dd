import { RateLimit } from '../../api/rate-limit.ts';
import type { Clock } from '../../runtime.ts';
import type { Caller } from '../caller.ts';
import { KnownUsers } from './known-users.ts';
import { callerOf } from './roles.ts';
import type { TokenReviewConfig } from './settings.ts';
import { tokenReview } from './token-review.ts';

/** Questions to the API server a second that one replica asks at most, whoever makes it ask. */
const REVIEWS_PER_SECOND = 100;
const REVIEW_BURST = 1000;

/** Asks Kubernetes whose token it is, and the configuration whom that makes of it. */
export function reviewer(
  { api, audiences, bindings }: TokenReviewConfig,
  clock: Clock,
): (token: string) => Promise<Caller | { readonly stranger: string } | undefined> {
  const limit = new RateLimit(REVIEWS_PER_SECOND, REVIEW_BURST, clock, 'unknown tokens');
  const users = new KnownUsers({ review: tokenReview(api, audiences), clock, take: () => limit.take('all') });
  return async (token) => {
    const user = await users.find(token);
    if (user === undefined) return undefined;
    return callerOf(user, bindings) ?? { stranger: user.username };
  };
}
