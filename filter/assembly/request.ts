import { abortAs, rememberRequest } from './abort';
import { hangsOnStatus } from './action';
import { budgetAllows } from './budget';
import { changeRequestHead, isTunnel } from './change-head';
import { presentNs } from './clock';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_UNKNOWN } from './config';
import { isCounted, skippedByTurn, takesInjection } from './counts';
import { ABORT, GO_ON, holdStream, takePlaceToHold } from './delays';
import { drawDelay } from './draw-delay';
import { leaseHolds } from './exchange';
import { note, property, requestHeaders, resultAt, resultLength } from './host';
import { block, halted, inboundRules, inboundTable, inboundThreshold, outboundRules, outboundTable, outboundThreshold } from './in-force';
import {
  ACTION_ABORT,
  ACTION_ABORT_RESPONSE,
  ACTION_DELAY,
  ACTION_DELAY_RESPONSE,
  ACTION_FLAGS,
  ACTION_FLAGS_MASK,
  ACTION_REQUEST,
  ACTION_RESPONSE,
  FLAG_SHADOW,
  RULE_ACTION,
  RULE_FLAGS,
  RULE_NAME,
  RULE_RAMP,
  RULE_THRESHOLD,
} from './layout';
import { holdUntil } from './loop';
import { firstMatch, indexBehind } from './match';
import { countDelay, countOverflow, countRequestChange, countShadowed, givePlaceBack } from './metrics';
import { DETAILS_ABORT } from './protocol';
import { rampNow } from './ramp';
import { draw } from './random';
import { seeRequest } from './requests';
import { isSticky, stickyDraw } from './sticky';
import { addState, BODY_STAYS_RESPONSE, track } from './streams';
import { count, countRule, countUnasked } from './tallies';
import {
  DELAYED,
  INJECTED,
  REQUEST_CHANGED,
  SKIPPED_BUDGET,
  SKIPPED_DICE,
  SKIPPED_HALT,
  SKIPPED_LEASE,
  SKIPPED_LIMIT,
  SKIPPED_OVERFLOW,
  SKIPPED_SHADOW,
} from './tally-layout';
import { addAscii, beginText, textLength, textStart } from './text';

/** What the host is to do with the stream (proxy-wasm ABI 0.2.1, `proxy_action_t` and Envoy's extension of it). */
export const CONTINUE: u32 = 0;
const STOP: u32 = 1;
/** StopAllIterationAndWatermark: body and trailers wait too, and the sender is slowed down instead of buffered. */
const HOLD: u32 = 4;

/**
 * Decides one request. First the cheap refusals: no rules, dice that can't win; only then the headers; the clock only when a
 * rule would fire. The first rule that matches decides, also when its dice are lost.
 */
export function decideRequest(stream: u32, rootDirection: u32, last: bool): u32 {
  seeRequest(rootDirection);
  if (inboundRules == 0 && rootDirection == DIRECTION_INBOUND) return CONTINUE;
  if (outboundRules == 0 && rootDirection == DIRECTION_OUTBOUND) return CONTINUE;
  if (inboundRules + outboundRules == 0) return CONTINUE;
  const drawn = draw();
  if (drawn >= mostThreshold(rootDirection)) return unasked();
  const direction = rootDirection == DIRECTION_UNKNOWN ? readDirection() : rootDirection;
  if (direction == DIRECTION_UNKNOWN) return CONTINUE;
  const inbound = direction == DIRECTION_INBOUND;
  if ((inbound ? inboundRules : outboundRules) == 0) return CONTINUE;
  if (drawn >= mostThreshold(direction)) return unasked();
  if (!requestHeaders()) return CONTINUE;
  const rule = decidingRule(inbound ? inboundTable : outboundTable, resultAt, resultLength);
  if (rule == 0) return CONTINUE;
  if ((isSticky(rule) ? stickyDraw(rule) : drawn) >= thresholdNow(rule)) return skip(rule, SKIPPED_DICE);
  if (!leaseHolds()) return skip(rule, SKIPPED_LEASE);
  // It would have fired: the halt is why it doesn't. Before an injection is counted, so that a resume goes on where it was.
  if (halted) return skip(rule, SKIPPED_HALT);
  const shadow = (load<u16>(rule + RULE_FLAGS) & FLAG_SHADOW) != 0;
  if (!shadow && !budgetAllows()) return skip(rule, SKIPPED_BUDGET);
  if (isCounted(rule) && !takesInjection(rule)) return skip(rule, SKIPPED_LIMIT);
  if (shadow) {
    countShadowed();
    noteRule(rule, 'hfi_shadow');
    return skip(rule, SKIPPED_SHADOW);
  }
  return inject(stream, rule, last);
}

/** The dice are lost, whatever rule it is. */
function unasked(): u32 {
  countUnasked();
  return CONTINUE;
}

function skip(rule: usize, reason: u32): u32 {
  countRule(rule, reason);
  return CONTINUE;
}

/** The first rule that matches and whose turn it is. */
function decidingRule(table: usize, headers: usize, length: u32): usize {
  let rule = firstMatch(block, table, headers, length, 0);
  while (rule != 0 && isCounted(rule)) {
    const skipped = skippedByTurn(rule);
    if (skipped == 0) return rule;
    countRule(rule, skipped);
    rule = firstMatch(block, table, headers, length, indexBehind(table, rule));
  }
  return rule;
}

/** What the request's draw must be below. */
function thresholdNow(rule: usize): u32 {
  const ramp = load<u32>(rule + RULE_RAMP);
  return ramp == 0 ? load<u32>(rule + RULE_THRESHOLD) : rampNow(block + ramp);
}

/** Notes the rule's name where the access log finds it. */
function noteRule(rule: usize, name: string): void {
  const place = load<u32>(rule + RULE_NAME);
  note(name, block + load<u32>(rule + RULE_ACTION) + (place >> 8), place & 0xff);
}

function mostThreshold(direction: u32): u32 {
  if (direction == DIRECTION_INBOUND) return inboundThreshold;
  if (direction == DIRECTION_OUTBOUND) return outboundThreshold;
  return max<u32>(inboundThreshold, outboundThreshold);
}

/** Asked only when the configuration doesn't say it: one host call more. */
function readDirection(): u32 {
  beginText();
  addAscii('xds\0listener_direction');
  if (!property(textStart(), textLength())) {
    beginText();
    addAscii('listener_direction');
    if (!property(textStart(), textLength())) return DIRECTION_UNKNOWN;
  }
  if (resultLength < 4) return DIRECTION_UNKNOWN;
  const value = load<u32>(resultAt);
  return value == 1 ? DIRECTION_INBOUND : value == 2 ? DIRECTION_OUTBOUND : DIRECTION_UNKNOWN;
}

/** @param last whether the request has no body */
function inject(stream: u32, rule: usize, last: bool): u32 {
  const action = block + load<u32>(rule + RULE_ACTION);
  const flags = load<u32>(action + ACTION_FLAGS);
  const aborts = load<u32>(action + ACTION_ABORT) != 0 && (flags & ACTION_ABORT_RESPONSE) == 0;
  const delay = load<u32>(action + ACTION_DELAY);
  const delays = delay != 0 && (flags & ACTION_DELAY_RESPONSE) == 0;
  const ns = delays ? drawDelay(action, action + delay) : 0;
  const change = load<u32>(action + ACTION_REQUEST);
  const later = (flags & ACTION_FLAGS_MASK) != 0 || load<u32>(action + ACTION_RESPONSE) != 0 || change != 0 || (aborts && ns != 0);

  if (ns != 0 && !takePlaceToHold()) return skip(rule, SKIPPED_OVERFLOW);
  let record: usize = 0;
  if (later) {
    record = track(stream, rule);
    // To do half of it would be another fault than the one asked for.
    if (record == 0) {
      if (ns != 0) givePlaceBack();
      countOverflow();
      return skip(rule, SKIPPED_OVERFLOW);
    }
  }
  if (!hangsOnStatus(action)) count(action, INJECTED);
  noteRule(rule, 'hfi_fault');
  if ((flags & ACTION_ABORT_RESPONSE) != 0 && load<u32>(action + ACTION_ABORT) != 0) rememberRequest(record, action);
  if (load<u32>(action + ACTION_RESPONSE) != 0 && isTunnel()) addState(record, BODY_STAYS_RESPONSE);
  if (change != 0) {
    changeRequestHead(record, action, action + change, last);
    countRequestChange();
    count(action, REQUEST_CHANGED);
  }
  if (delays) count(action, DELAYED);
  if (ns != 0) {
    holdUntil(holdStream(stream, presentNs(), ns, aborts ? ABORT : GO_ON), stream);
    return HOLD;
  }
  if (delays) countDelay();
  if (!aborts) return CONTINUE;
  abortAs(action, 0, false, DETAILS_ABORT);
  return STOP;
}
