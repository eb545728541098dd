import { abortAs } from './abort';
import { pieceIsDue } from './body';
import { monotonicNs } from './clock';
import { ABORT, forgetHeld, nextDeadline, nextKind, nextStream, OF_RESPONSE, PIECE, takeNext } from './delays';
import { actOn, closeStream, continueStream } from './host';
import { DETAILS_DELAYED_ABORT } from './protocol';
import { actionOf, tracked, untrack } from './streams';

/** What becomes of held streams whose time has come. */

const NEVER: u64 = 0xffffffffffffffff;

/** Lets every stream go whose time has come, never one before it. Leaves another context as the acting one. */
export function releaseDue(): void {
  if (nextDeadline() == NEVER) return;
  const now = monotonicNs();
  while (nextDeadline() <= now) {
    const stream = nextStream();
    const kind = nextKind();
    takeNext(now);
    if (actOn(stream)) release(stream, kind, now);
  }
}

/**
 * The same when another request comes by, since Envoy's timers follow the kernel's coarse clock (a step is 1 to 10 ms). An
 * abort has to wait for the timer: the host takes any local response as one to the request whose callback is running.
 *
 * @returns whether any went, so that the acting context is another one now
 */
export function releaseInPassing(): bool {
  if (nextDeadline() == NEVER) return false;
  const now = monotonicNs();
  let any = false;
  while (nextDeadline() <= now && nextKind() < ABORT) {
    const stream = nextStream();
    const kind = nextKind();
    takeNext(now);
    any = true;
    if (actOn(stream)) continueStream((kind & OF_RESPONSE) != 0);
  }
  return any;
}

function release(stream: u32, kind: u32, now: u64): void {
  const response = (kind & OF_RESPONSE) != 0;
  if (kind < ABORT) {
    continueStream(response);
    return;
  }
  const record = tracked(stream);
  if (record == 0) return;
  if (kind < PIECE) abortAs(actionOf(record), record, response, DETAILS_DELAYED_ABORT);
  else if (kind < PIECE + ABORT) pieceIsDue(stream, record, response, now);
  else closeStream(response);
}

/** A stream is over: nothing more is done to it. */
export function forgetStream(stream: u32): void {
  forgetHeld(stream);
  untrack(stream);
}
