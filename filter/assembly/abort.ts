import { reserve } from './arena';
import { isGrpcType } from './grpc';
import { requestHeader, resultAt, resultLength, sendResponse } from './host';
import { block, generation } from './in-force';
import {
  FLAG_GRPC,
  RULE_BODY,
  RULE_BODY_LENGTH,
  RULE_FLAGS,
  RULE_GRPC_STATUS,
  RULE_HTTP_STATUS,
  RULE_PAIRS,
  RULE_PAIRS_LENGTH,
} from './layout';
import { countAbort } from './metrics';
import { DETAILS_ABORT, DETAILS_DELAYED_ABORT } from './protocol';

/** Answering a request in the service's place, at once or, for a delayed abort, from a copy that outlives the ruleset. */

const NO_GRPC: u32 = 0xffffffff;

export function aborts(rule: usize): bool {
  return load<u32>(rule + RULE_HTTP_STATUS) != 0;
}

/** Answers the present request as the rule says. */
export function abortNow(rule: usize): void {
  answer(
    load<u32>(rule + RULE_HTTP_STATUS),
    (load<u32>(rule + RULE_FLAGS) & FLAG_GRPC) != 0,
    load<u32>(rule + RULE_GRPC_STATUS),
    block + load<u32>(rule + RULE_BODY),
    load<u32>(rule + RULE_BODY_LENGTH),
    block + load<u32>(rule + RULE_PAIRS),
    load<u32>(rule + RULE_PAIRS_LENGTH),
    DETAILS_ABORT,
  );
}

function answer(
  status: u32,
  grpc: bool,
  grpcStatus: u32,
  body: usize,
  bodyLength: u32,
  pairs: usize,
  pairsLength: u32,
  details: string,
): void {
  if (grpc && isGrpcCall()) sendResponse(200, details, body, bodyLength, pairs, pairsLength, grpcStatus);
  else sendResponse(status, details, body, bodyLength, pairs, pairsLength, NO_GRPC);
  countAbort();
}

function isGrpcCall(): bool {
  return requestHeader('content-type') && isGrpcType(resultAt, resultLength);
}

/**
 * Copies of the answers that delayed requests wait for: one a rule, however many wait.
 *
 * ```
 * +------+------------+-------+----------+--------+------+-------+------------+-------------+--------+----------+
 * | uses | generation | rule  | status   | flags  | grpc | body  | pairs      | lengths x 2 | memory | capacity |
 * +------+------------+-------+----------+--------+------+-------+------------+-------------+--------+----------+
 * ```
 */
const KEPT_COUNT: u32 = 64;
const KEPT_BYTES: u32 = 40;
const KEPT_USES: u32 = 0;
const KEPT_GENERATION: u32 = 4;
const KEPT_RULE: u32 = 8;
const KEPT_STATUS: u32 = 12;
const KEPT_FLAGS: u32 = 16;
const KEPT_GRPC: u32 = 20;
const KEPT_BODY_LENGTH: u32 = 24;
const KEPT_PAIRS_LENGTH: u32 = 28;
const KEPT_MEMORY: u32 = 32;
const KEPT_CAPACITY: u32 = 36;

export const NOTHING_KEPT: u32 = 0xffffffff;

let kept: usize = 0;

/** Makes room for the copies' records. Called when configured. */
export function reserveAnswers(): void {
  if (kept == 0) kept = reserve(KEPT_COUNT * KEPT_BYTES);
}

/** @returns the copy's number, or `NOTHING_KEPT` when all are in use or there is no memory */
export function keepAnswer(rule: usize): u32 {
  if (kept == 0) return NOTHING_KEPT;
  let free: u32 = NOTHING_KEPT;
  for (let i: u32 = 0; i < KEPT_COUNT; i++) {
    const record = kept + i * KEPT_BYTES;
    const uses = load<u32>(record + KEPT_USES);
    if (uses != 0 && load<u32>(record + KEPT_GENERATION) == generation && load<u32>(record + KEPT_RULE) == <u32>rule) {
      store<u32>(record + KEPT_USES, uses + 1);
      return i;
    }
    if (uses == 0 && free == NOTHING_KEPT) free = i;
  }
  if (free == NOTHING_KEPT) return NOTHING_KEPT;
  const record = kept + free * KEPT_BYTES;
  const bodyLength = load<u32>(rule + RULE_BODY_LENGTH);
  const pairsLength = load<u32>(rule + RULE_PAIRS_LENGTH);
  if (!makeRoom(record, bodyLength + pairsLength)) return NOTHING_KEPT;
  const to: usize = load<u32>(record + KEPT_MEMORY);
  memory.copy(to, block + load<u32>(rule + RULE_BODY), bodyLength);
  memory.copy(to + bodyLength, block + load<u32>(rule + RULE_PAIRS), pairsLength);
  store<u32>(record + KEPT_USES, 1);
  store<u32>(record + KEPT_GENERATION, generation);
  store<u32>(record + KEPT_RULE, <u32>rule);
  store<u32>(record + KEPT_STATUS, load<u32>(rule + RULE_HTTP_STATUS));
  store<u32>(record + KEPT_FLAGS, load<u32>(rule + RULE_FLAGS));
  store<u32>(record + KEPT_GRPC, load<u32>(rule + RULE_GRPC_STATUS));
  store<u32>(record + KEPT_BODY_LENGTH, bodyLength);
  store<u32>(record + KEPT_PAIRS_LENGTH, pairsLength);
  return free;
}

function makeRoom(record: usize, length: u32): bool {
  const capacity = load<u32>(record + KEPT_CAPACITY);
  if (capacity >= length) return true;
  let size: u32 = max<u32>(1024, capacity * 2);
  while (size < length) size *= 2;
  const fresh = reserve(size);
  if (fresh == 0) return false;
  store<u32>(record + KEPT_MEMORY, <u32>fresh);
  store<u32>(record + KEPT_CAPACITY, size);
  return true;
}

/** Gives the present request the answer that was kept for it. */
export function abortFrom(number: u32): void {
  const record = kept + number * KEPT_BYTES;
  const body: usize = load<u32>(record + KEPT_MEMORY);
  const bodyLength = load<u32>(record + KEPT_BODY_LENGTH);
  answer(
    load<u32>(record + KEPT_STATUS),
    (load<u32>(record + KEPT_FLAGS) & FLAG_GRPC) != 0,
    load<u32>(record + KEPT_GRPC),
    body,
    bodyLength,
    body + bodyLength,
    load<u32>(record + KEPT_PAIRS_LENGTH),
    DETAILS_DELAYED_ABORT,
  );
}

/** One request less waits for this answer. */
export function releaseAnswer(number: u32): void {
  if (number >= KEPT_COUNT) return;
  const record = kept + number * KEPT_BYTES;
  store<u32>(record + KEPT_USES, load<u32>(record + KEPT_USES) - 1);
}
