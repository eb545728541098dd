import { abortAs } from './abort';
import { actsOnRequest, asksStatus, hangsOnStatus, isAbout } from './action';
import { changeFields } from './change-fields';
import { changeResponseHead, statusNow } from './change-head';
import { presentNs } from './clock';
import { ABORT, GO_ON, holdStream, OF_RESPONSE, takePlaceToHold } from './delays';
import { drawDelay } from './draw-delay';
import { note, RESPONSE_TRAILERS } from './host';
import {
  ACTION_ABORT,
  ACTION_ABORT_RESPONSE,
  ACTION_DELAY,
  ACTION_DELAY_RESPONSE,
  ACTION_FLAGS,
  ACTION_RESPONSE,
  CHANGE_TRAILER_COUNT,
  CHANGE_TRAILERS,
} from './layout';
import { holdUntil } from './loop';
import { countDelay, countResponseChange } from './metrics';
import { DETAILS_ABORT } from './protocol';
import { ANSWER_LEFT, ANSWERED, actionOf, addState, ENDED, stateOf, tracked } from './streams';
import { count } from './tallies';
import { DELAYED, INJECTED, RESPONSE_CHANGED, SKIPPED_HALT, SKIPPED_OVERFLOW, SKIPPED_STATUS } from './tally-layout';

const CONTINUE: u32 = 0;
const STOP: u32 = 1;
/** StopAllIterationAndWatermark. */
const HOLD: u32 = 4;

/** What is done to an answer once its head is there. @param last whether no body follows */
export function responseHead(stream: u32, last: bool): u32 {
  const record = tracked(stream);
  if (record == 0 || (stateOf(record) & ANSWERED) != 0) return CONTINUE;
  // An answer of our own comes by here as well.
  addState(record, ANSWERED);
  const action = actionOf(record);
  const undecided = hangsOnStatus(action);
  if ((stateOf(record) & ENDED) != 0) {
    if (undecided) count(action, SKIPPED_HALT);
    leave(record, action);
    return CONTINUE;
  }
  if (asksStatus(action) && !isAbout(action, statusNow())) {
    if (undecided) count(action, SKIPPED_STATUS);
    leave(record, action);
    return CONTINUE;
  }
  const flags = load<u32>(action + ACTION_FLAGS);
  const delay = load<u32>(action + ACTION_DELAY);
  const aborts = (flags & ACTION_ABORT_RESPONSE) != 0 && load<u32>(action + ACTION_ABORT) != 0;
  const delays = (flags & ACTION_DELAY_RESPONSE) != 0 && delay != 0;
  const ns = delays ? drawDelay(action, action + delay) : 0;
  if (ns != 0 && !takePlaceToHold()) {
    // To do the rest of it would be another fault than the one asked for; and a body that its head says nothing of.
    if (undecided) count(action, SKIPPED_OVERFLOW);
    leave(record, action);
    return CONTINUE;
  }
  if (undecided) count(action, INJECTED);
  const change = load<u32>(action + ACTION_RESPONSE);
  if (change != 0) {
    changeResponseHead(record, action, action + change, last);
    countResponseChange();
    count(action, RESPONSE_CHANGED);
  }
  if (delays) count(action, DELAYED);
  if (ns != 0) {
    holdUntil(holdStream(stream, presentNs(), ns, (aborts ? ABORT : GO_ON) | OF_RESPONSE), stream);
    return HOLD;
  }
  if (delays) countDelay();
  if (!aborts) return CONTINUE;
  abortAs(action, record, true, DETAILS_ABORT);
  return STOP;
}

/** Does nothing to an answer, now or later; if nothing was done to the request either, the access log is told so. */
function leave(record: usize, action: usize): void {
  addState(record, ANSWER_LEFT);
  if (!actsOnRequest(action)) note('hfi_fault', 0, 0);
}

export function responseTrailers(stream: u32): void {
  const record = tracked(stream);
  if (record == 0 || (stateOf(record) & (ANSWER_LEFT | ENDED)) != 0) return;
  const action = actionOf(record);
  const offset = load<u32>(action + ACTION_RESPONSE);
  if (offset == 0) return;
  const change = action + offset;
  changeFields(RESPONSE_TRAILERS, action, load<u32>(change + CHANGE_TRAILERS), load<u32>(change + CHANGE_TRAILER_COUNT));
}
