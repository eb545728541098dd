import * as layout from '../../../filter/assembly/layout.ts';
import { HEADER_FAULT } from '../../../filter/assembly/protocol.ts';
import { BODYLESS } from '../../policy/abort.ts';
import { bodyBytes } from '../../policy/body.ts';
import { parseRate, type RequestChange, type ResponseChange } from '../../policy/change.ts';
import { parseDuration } from '../../policy/duration.ts';
import { threshold } from '../../policy/percentage.ts';
import type { Block } from './block.ts';
import { type FieldChange, writeFields } from './field-changes.ts';
import { writeRewrite } from './rewrite.ts';

export function writeRequestChange(block: Block, change: RequestChange): number {
  const at = block.take(layout.CHANGE_BYTES);
  writeFields(block, at + layout.CHANGE_HEADERS, at + layout.CHANGE_HEADER_COUNT, fieldsOf(change.headers));
  const body = bodyBytes(change);
  const cut = change.truncate === undefined ? 0 : layout.CHANGE_SHORTENS;
  block.u32(at + layout.CHANGE_FLAGS, cut | (body === undefined ? 0 : layout.CHANGE_REPLACES));
  writeBody(block, at, body);
  writeDamage(block, at, change);
  writeWay(block, at, change);
  const { path, query } = change;
  if (path !== undefined || query !== undefined) block.u32(at + layout.CHANGE_REWRITE, writeRewrite(block, path, query));
  return at;
}

/** @param name `<policy>/<rule index>`, which the answer then says */
export function writeResponseChange(block: Block, change: ResponseChange, name: string): number {
  const { status = 0, truncate, trailers = {} } = change;
  const at = block.take(layout.CHANGE_BYTES);
  const mark = { operation: layout.FIELD_SET, name: HEADER_FAULT, value: name };
  writeFields(block, at + layout.CHANGE_HEADERS, at + layout.CHANGE_HEADER_COUNT, [mark, ...fieldsOf(change.headers)]);
  writeFields(block, at + layout.CHANGE_TRAILERS, at + layout.CHANGE_TRAILER_COUNT, fieldsOf({ set: trailers }));
  // A status that no body follows takes the service's away.
  const body = BODYLESS.has(status) ? new Uint8Array() : bodyBytes(change);
  const cut = truncate === undefined ? 0 : truncate.end === 'clean' ? layout.CHANGE_SHORTENS : layout.CHANGE_CUTS;
  block.u32(at + layout.CHANGE_FLAGS, cut | (body === undefined ? 0 : layout.CHANGE_REPLACES));
  block.u32(at + layout.CHANGE_STATUS, status);
  writeBody(block, at, body);
  writeDamage(block, at, change);
  writeWay(block, at, change);
  return at;
}

function writeBody(block: Block, at: number, body: Uint8Array | undefined): void {
  if (body === undefined) return;
  block.u32(at + layout.CHANGE_BODY, block.place(body));
  block.u32(at + layout.CHANGE_BODY_LENGTH, body.length);
}

function writeDamage(block: Block, at: number, { truncate, corrupt }: Pick<RequestChange, 'truncate' | 'corrupt'>): void {
  block.u32(at + layout.CHANGE_TRUNCATE_AT, truncate?.bytes ?? 0);
  block.u32(at + layout.CHANGE_CORRUPT, corrupt === undefined ? 0 : threshold(corrupt.percentage));
  block.u32(at + layout.CHANGE_CORRUPT_SEED, corrupt?.seed ?? 0);
}

function writeWay(block: Block, at: number, { throttle, latency, jitter }: Pick<RequestChange, 'throttle' | 'latency' | 'jitter'>): void {
  block.u32(at + layout.CHANGE_BYTES_PER_SECOND, throttle === undefined ? 0 : (parseRate(throttle) ?? 0));
  block.u32(at + layout.CHANGE_PIECE_MS, latency === undefined ? 0 : (parseDuration(latency) ?? 0));
  block.u32(at + layout.CHANGE_PIECE_JITTER_MS, jitter === undefined ? 0 : (parseDuration(jitter) ?? 0));
}

/** Removed first, then set, then added: so that each does what it says, whatever the others name. */
function fieldsOf(headers: RequestChange['headers']): FieldChange[] {
  const { remove = [], set = {}, add = {} } = headers ?? {};
  const named = (operation: number, entries: readonly (readonly [string, string])[]): FieldChange[] =>
    entries.map(([name, value]) => ({ operation, name: name.toLowerCase(), value }));
  return [
    ...named(
      layout.FIELD_REMOVE,
      remove.map((name) => [name, '']),
    ),
    ...named(layout.FIELD_SET, Object.entries(set)),
    ...named(layout.FIELD_ADD, Object.entries(add)),
  ];
}
