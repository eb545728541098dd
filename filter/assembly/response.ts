import { abortAs } from './abort';
import { changeFields } from './change-fields';
import { changeResponseHead } from './change-head';
import { presentNs } from './clock';
import { ABORT, GO_ON, holdStream, OF_RESPONSE, takePlaceToHold } from './delays';
import { drawDelay } from './draw-delay';
import { RESPONSE_TRAILERS } from './host';
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
import { ANSWERED, actionOf, addState, BODY_STAYS_RESPONSE, ENDED, stateOf, tracked } from './streams';

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
  if ((stateOf(record) & ENDED) != 0) {
    addState(record, BODY_STAYS_RESPONSE);
    return CONTINUE;
  }
  const action = actionOf(record);
  const flags = load<u32>(action + ACTION_FLAGS);
  const delay = load<u32>(action + ACTION_DELAY);
  const aborts = (flags & ACTION_ABORT_RESPONSE) != 0 && load<u32>(action + ACTION_ABORT) != 0;
  const delays = (flags & ACTION_DELAY_RESPONSE) != 0 && delay != 0;
  const ns = delays ? drawDelay(action, action + delay) : 0;
  if (ns != 0 && !takePlaceToHold()) return CONTINUE;
  const change = load<u32>(action + ACTION_RESPONSE);
  if (change != 0) {
    changeResponseHead(record, action, action + change, last);
    countResponseChange();
  }
  if (ns != 0) {
    holdUntil(holdStream(stream, presentNs(), ns, (aborts ? ABORT : GO_ON) | OF_RESPONSE), stream);
    return HOLD;
  }
  if (delays) countDelay();
  if (!aborts) return CONTINUE;
  abortAs(action, record, true, DETAILS_ABORT);
  return STOP;
}

export function responseTrailers(stream: u32): void {
  const record = tracked(stream);
  if (record == 0 || (stateOf(record) & ENDED) != 0) return;
  const action = actionOf(record);
  const offset = load<u32>(action + ACTION_RESPONSE);
  if (offset == 0) return;
  const change = action + offset;
  changeFields(RESPONSE_TRAILERS, action, load<u32>(change + CHANGE_TRAILERS), load<u32>(change + CHANGE_TRAILER_COUNT));
}
