import { abortNow, aborts, keepAnswer, NOTHING_KEPT } from './abort';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_UNKNOWN } from './config';
import { holdRequest, takePlaceToHold } from './delays';
import { leaseHolds } from './exchange';
import { property, requestHeaders, resultAt, resultLength } from './host';
import { block, inboundRules, inboundTable, inboundThreshold, outboundRules, outboundTable, outboundThreshold } from './in-force';
import { RULE_DELAY_MS, RULE_THRESHOLD } from './layout';
import { holdUntil } from './loop';
import { firstMatch } from './match';
import { countOverflow, givePlaceBack } from './metrics';
import { draw } from './random';
import { isSticky, stickyDraw } from './sticky';
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
export function decideRequest(stream: u32, rootDirection: u32): u32 {
  if (inboundRules == 0 && rootDirection == DIRECTION_INBOUND) return CONTINUE;
  if (outboundRules == 0 && rootDirection == DIRECTION_OUTBOUND) return CONTINUE;
  if (inboundRules + outboundRules == 0) return CONTINUE;
  const drawn = draw();
  if (drawn >= mostThreshold(rootDirection)) return CONTINUE;
  const direction = rootDirection == DIRECTION_UNKNOWN ? readDirection() : rootDirection;
  if (direction == DIRECTION_UNKNOWN) return CONTINUE;
  const inbound = direction == DIRECTION_INBOUND;
  if ((inbound ? inboundRules : outboundRules) == 0 || drawn >= mostThreshold(direction)) return CONTINUE;
  if (!requestHeaders()) return CONTINUE;
  const rule = firstMatch(block, inbound ? inboundTable : outboundTable, resultAt, resultLength);
  if (rule == 0 || (isSticky(rule) ? stickyDraw(rule) : drawn) >= load<u32>(rule + RULE_THRESHOLD) || !leaseHolds()) return CONTINUE;
  return inject(stream, rule);
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

function inject(stream: u32, rule: usize): u32 {
  const delayMs = load<u32>(rule + RULE_DELAY_MS);
  if (delayMs == 0) {
    if (!aborts(rule)) return CONTINUE;
    abortNow(rule);
    return STOP;
  }
  if (!takePlaceToHold()) return CONTINUE;
  let answer = NOTHING_KEPT;
  if (aborts(rule)) {
    answer = keepAnswer(rule);
    // Holding it and then letting it through would be another fault than the one asked for.
    if (answer == NOTHING_KEPT) {
      givePlaceBack();
      countOverflow();
      return CONTINUE;
    }
  }
  holdUntil(holdRequest(stream, delayMs, answer), stream);
  return HOLD;
}
