import { HTTPException } from 'hono/http-exception';
import { ReviewUnavailable } from '../access/kubernetes/token-review.ts';
import { StoreRefused, StoreUnavailable } from '../store/store.ts';
import type { Parts } from './parts.ts';
import { Problem } from './problem.ts';

/** Seconds after which a client may try again when etcd didn't answer. */
const RETRY_AFTER_SECONDS = 1;

/** The one place where what is thrown becomes a refusal. */
export function asProblem(error: unknown, method: string, parts: Pick<Parts, 'log'>): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreUnavailable) {
    const change = method === 'GET' || method === 'HEAD' ? '' : '; the change may or may not have been done';
    return new Problem('store-unavailable', `${error.message}${change}.`, {
      retryAfter: RETRY_AFTER_SECONDS,
      cause: error,
    });
  }
  if (error instanceof ReviewUnavailable) {
    return new Problem('identity-unavailable', `Your token can not be checked: ${error.message}.`, {
      retryAfter: RETRY_AFTER_SECONDS,
      cause: error,
    });
  }
  if (error instanceof StoreRefused) return new Problem('too-large', 'This is larger than etcd takes.', { cause: error });
  if (error instanceof HTTPException && error.status < 500) return new Problem('invalid', error.message, { cause: error });
  // What went wrong inside is for the log, not for the caller.
  parts.log.error({ err: error }, 'request failed');
  return new Problem('internal', 'Something went wrong; the log of the control plane says what.', { cause: error });
}
