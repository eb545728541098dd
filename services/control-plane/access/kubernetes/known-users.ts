import type { Clock } from '../../runtime.ts';
import { digestOf } from '../secret.ts';
import type { KubernetesUser } from './roles.ts';
import type { Review } from './token-review.ts';

/** How long an answer is kept, in milliseconds: a token that ended or was taken away is good for as long as that at most. */
export const KEEP_MS = 10_000;
/** One that isn't good may become so: an account that is made a moment later. */
const KEEP_REFUSED_MS = 2000;
/** Answers that are kept at most; then the oldest go. */
const MOST_KEPT = 10_000;

/** A JSON Web Token, which is what Kubernetes gives out: nothing else is sent to it. */
const JSON_WEB_TOKEN = /^[\w-]{4,}\.[\w-]{4,}\.[\w-]*$/;
const LONGEST_TOKEN = 12_000;

interface Kept {
  readonly until: number;
  readonly user: Promise<KubernetesUser | undefined>;
}

export interface KnownUsersOptions {
  readonly review: Review;
  readonly clock: Clock;
  /** Takes one question to the API server, which is not ours to flood. @throws when there were too many */
  readonly take: () => void;
}

/** Asks the Kubernetes API server whose token it is, and remembers the answer for some seconds. Tokens themselves are not kept. */
export class KnownUsers {
  readonly #options: KnownUsersOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: KnownUsersOptions) {
    this.#options = options;
  }

  /** @throws ReviewUnavailable, and what `take` throws */
  async find(token: string): Promise<KubernetesUser | undefined> {
    if (token.length > LONGEST_TOKEN || !JSON_WEB_TOKEN.test(token)) return undefined;
    const key = digestOf(token).toString('base64');
    const now = this.#options.clock.elapsed();
    const known = this.#kept.get(key);
    if (known !== undefined && known.until > now) return known.user;
    this.#options.take();
    // Many who ask at once wait for one answer.
    const user = this.#options.review(token);
    this.#keep(key, { until: now + KEEP_MS, user });
    try {
      const found = await user;
      if (found === undefined) this.#keep(key, { until: this.#options.clock.elapsed() + KEEP_REFUSED_MS, user });
      return found;
    } catch (error) {
      this.#kept.delete(key);
      throw error;
    }
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size <= MOST_KEPT) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}
