import { monotonicNs } from './clock';
import { CUT, nextDeadline, nextKind, nextStream, OF_RESPONSE, takeNext } from './delays';
import { actOn, closeStream, continueStream } from './host';
import { endTracked } from './streams';

/** What a halt does to the requests under way. New ones are let be by `request.ts`. */

const NEVER: u64 = 0xffffffffffffffff;

/**
 * Ends every fault under way: whatever is held goes on now, without the abort that would have come, and nothing more is done to any
 * stream, also when a resume comes before its end. Called when a halted ruleset was taken. Leaves another context as the acting one.
 */
export function endFaults(): void {
  endTracked();
  const now = monotonicNs();
  while (nextDeadline() != NEVER) {
    const stream = nextStream();
    const kind = nextKind();
    takeNext(now);
    if (actOn(stream)) letGo(kind);
  }
}

function letGo(kind: u32): void {
  const response = (kind & OF_RESPONSE) != 0;
  // What a cut took away is gone: a response that lacks it must not look whole.
  if (kind >= CUT) closeStream(response);
  else continueStream(response);
}
