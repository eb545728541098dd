import * as layout from '../../../filter/assembly/layout.ts';
import { HEADER_FAULT } from '../../../filter/assembly/protocol.ts';
import type { Abort } from '../../policy/abort.ts';
import { bodyBytes } from '../../policy/body.ts';
import type { Delay } from '../../policy/delay.ts';
import { parseDuration } from '../../policy/duration.ts';
import type { Fault } from '../../policy/schema.ts';
import { parseTemplate } from '../../policy/template.ts';
import { Block } from './block.ts';
import { writeRequestChange, writeResponseChange } from './change.ts';
import { firstValueAt, headerPairs } from './header-pairs.ts';
import { quantilesOf, timedQuantiles } from './quantiles.ts';
import { writeRamp } from './ramp.ts';

/** The HTTP status that a gRPC status stands for, by code (google/rpc/code.proto, "HTTP Mapping"). */
const HTTP_OF_GRPC: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

export interface Action {
  readonly bytes: Uint8Array;
  /** Where the rule's name stands in them. */
  readonly nameAt: number;
}

/**
 * What a rule does, in one piece (the layout's action).
 *
 * @param name `<policy>/<rule index>`, for the response header
 * @param appliedAt milliseconds since the epoch: where ramps begin
 * @param key the rule's
 */
export function compileAction(fault: Fault, name: string, appliedAt: number, key: bigint): Action {
  const { delay, abort, request, response, ifStatus } = fault;
  const block = new Block(256);
  const at = block.take(layout.ACTION_BYTES);
  const flags =
    (delay?.at === 'response' ? layout.ACTION_DELAY_RESPONSE : 0) | (abort?.at === 'response' ? layout.ACTION_ABORT_RESPONSE : 0);
  const { from, to } = typeof ifStatus === 'number' ? { from: ifStatus, to: ifStatus } : (ifStatus ?? { from: 0, to: 0 });
  block.u32(at + layout.ACTION_FLAGS, flags | (from << layout.ACTION_STATUS_FROM_SHIFT) | (to << layout.ACTION_STATUS_TO_SHIFT));
  block.u64(at + layout.ACTION_KEY, key);
  if (delay !== undefined || fault.start_delay_ms > 0) {
    block.u32(at + layout.ACTION_DELAY, writeDelay(block, delay, fault.start_delay_ms, appliedAt));
  }
  if (abort !== undefined) block.u32(at + layout.ACTION_ABORT, writeAbort(block, abort, name));
  if (request !== undefined) block.u32(at + layout.ACTION_REQUEST, writeRequestChange(block, request));
  if (response !== undefined) block.u32(at + layout.ACTION_RESPONSE, writeResponseChange(block, response, name));
  const { offset: nameAt } = block.text(name);
  return { bytes: block.bytesSoFar(), nameAt };
}

function writeDelay(block: Block, delay: Delay | undefined, startMs: number, appliedAt: number): number {
  const at = block.take(layout.DELAY_BYTES);
  const quantiles = delay === undefined ? [{ share: 0, ms: 0 }] : quantilesOf(delay);
  block.u32(at + layout.DELAY_START_MS, startMs);
  block.u32(at + layout.DELAY_JITTER_MS, delay?.jitter === undefined ? 0 : (parseDuration(delay.jitter) ?? 0));
  if (quantiles !== undefined) {
    const table = block.take(quantiles.length * layout.QUANTILE_BYTES);
    timedQuantiles(quantiles).forEach(({ share, ms }, i) => {
      const entry = table + i * layout.QUANTILE_BYTES;
      block.u32(entry + layout.QUANTILE_SHARE, Math.min(Math.round(share * 2 ** 32), 0xffffffff));
      block.u32(entry + layout.QUANTILE_US, Math.round(ms * 1000));
    });
    block.u32(at + layout.DELAY_QUANTILES, table);
    block.u32(at + layout.DELAY_QUANTILE_COUNT, quantiles.length);
  } else if (delay?.ramp !== undefined) {
    const { from, to, over } = delay.ramp;
    writeRamp(block, at + layout.DELAY_RAMP, { from: parseDuration(from) ?? 0, to: parseDuration(to) ?? 0, over }, appliedAt);
  }
  if (delay?.header !== undefined) {
    const name = block.text(delay.header.name);
    block.u32(at + layout.DELAY_HEADER, name.offset);
    block.u32(at + layout.DELAY_HEADER_LENGTH, name.length);
    block.u32(at + layout.DELAY_MOST_MS, parseDuration(delay.header.max) ?? 0);
  }
  return at;
}

function writeAbort(block: Block, abort: Abort, name: string): number {
  const at = block.take(layout.ABORT_BYTES);
  if (abort.reset === true) return at;
  const grpc = abort.grpcStatus;
  const headers: (readonly [string, string])[] = [[HEADER_FAULT, name], ...Object.entries(abort.headers ?? {})];
  const pairs = headerPairs(headers);
  const body = bodyBytes(abort) ?? new TextEncoder().encode(abort.grpcMessage ?? '');
  block.u32(at + layout.ABORT_HTTP_STATUS, abort.httpStatus ?? HTTP_OF_GRPC[grpc ?? 2] ?? 500);
  block.u32(at + layout.ABORT_GRPC_STATUS, grpc ?? 0);
  const place = block.place(pairs);
  // The name stands in the first header, and needn't be written again.
  block.holds(name, place + firstValueAt(headers));
  block.u32(at + layout.ABORT_PAIRS, place);
  block.u32(at + layout.ABORT_PAIRS_LENGTH, pairs.length);
  block.u32(at + layout.ABORT_FLAGS, grpc === undefined ? 0 : layout.ABORT_GRPC);
  const template = abort.body === undefined ? [] : parseTemplate(abort.body);
  if ('unknown' in template || !template.some(({ kind }) => kind !== 'text')) {
    block.u32(at + layout.ABORT_BODY, block.place(body));
    block.u32(at + layout.ABORT_BODY_LENGTH, body.length);
    return at;
  }
  const segments = block.take(template.length * layout.SEGMENT_BYTES);
  template.forEach((segment, i) => {
    const entry = segments + i * layout.SEGMENT_BYTES;
    const text = block.text(segment.kind === 'text' ? segment.text : segment.kind === 'header' ? segment.name : `:${segment.kind}`);
    block.u32(entry + layout.SEGMENT_KIND, segment.kind === 'text' ? layout.SEGMENT_TEXT : layout.SEGMENT_HEADER);
    block.u32(entry + layout.SEGMENT_OFFSET, text.offset);
    block.u32(entry + layout.SEGMENT_LENGTH, text.length);
  });
  block.u32(at + layout.ABORT_SEGMENTS, segments);
  block.u32(at + layout.ABORT_SEGMENT_COUNT, template.length);
  return at;
}
