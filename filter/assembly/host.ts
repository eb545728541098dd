import {
  proxy_add_header_map_value,
  proxy_close_stream,
  proxy_continue_stream,
  proxy_define_metric,
  proxy_dequeue_shared_queue,
  proxy_enqueue_shared_queue,
  proxy_get_buffer_bytes,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_get_metric,
  proxy_get_property,
  proxy_get_shared_data,
  proxy_http_call,
  proxy_increment_metric,
  proxy_log,
  proxy_record_metric,
  proxy_register_shared_queue,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_send_local_response,
  proxy_set_effective_context,
  proxy_set_property,
  proxy_set_shared_data,
  proxy_set_tick_period_milliseconds,
} from '@solo-io/proxy-runtime/assembly/imports';
import { proxy_set_buffer_bytes } from './imports';
import { putAscii, textLength, textStart } from './text';

/**
 * The host, function by function, as proxy-Wasm 0.2.1 defines it. Only `clock.ts` asks it for something by itself. A function that
 * returns bytes leaves them at `resultAt`, `resultLength` (in the arena, so good for this callback) and returns whether it
 * succeeded.
 */

const OK: u32 = 0;
export const REQUEST_HEADERS: i32 = 0;
export const RESPONSE_HEADERS: i32 = 2;
export const RESPONSE_TRAILERS: i32 = 3;
const CALL_RESPONSE_HEADERS: i32 = 6;
const CALL_RESPONSE_BODY: i32 = 4;
const PLUGIN_CONFIGURATION: i32 = 7;
const REQUEST_BODY: i32 = 0;
const RESPONSE_BODY: i32 = 1;
const REQUEST_STREAM: i32 = 0;
const RESPONSE_STREAM: i32 = 1;

export const COUNTER: i32 = 0;
export const GAUGE: i32 = 1;
export const HISTOGRAM: i32 = 2;

export const LOG_INFO: u32 = 2;
export const LOG_WARN: u32 = 3;

/** Out parameters of host calls: an address, a length, a number. */
const outAddress: usize = memory.data(4, 4);
const outLength: usize = memory.data(4, 4);
const outNumber: usize = memory.data(4, 4);
/** Short names are put here before they are passed; no literal of ours is longer. */
const nameAt: usize = memory.data(128, 8);
const outMetric: usize = memory.data(8, 8);

export let resultAt: usize = 0;
export let resultLength: u32 = 0;

function took(status: u32): bool {
  resultAt = status == OK ? <usize>load<u32>(outAddress) : 0;
  resultLength = status == OK && resultAt != 0 ? load<u32>(outLength) : 0;
  return status == OK;
}

function clearOut(): void {
  store<u32>(outAddress, 0);
  store<u32>(outLength, 0);
}

/** Logs the text composed last. */
export function logText(level: u32): void {
  proxy_log(level, textStart(), textLength());
}

/** All request headers in one call. */
export function requestHeaders(): bool {
  clearOut();
  return took(proxy_get_header_map_pairs(REQUEST_HEADERS, outAddress, outLength));
}

/** A header of the request: the host has them only until the request goes on. @param name ASCII, in lower case */
export function requestHeader(name: string): bool {
  return requestHeaderAt(nameAt, putAscii(name, nameAt));
}

/** @param name in lower case */
export function requestHeaderAt(name: usize, length: u32): bool {
  clearOut();
  return took(proxy_get_header_map_value(REQUEST_HEADERS, name, length, outAddress, outLength));
}

export function responseHeader(name: string): bool {
  clearOut();
  return took(proxy_get_header_map_value(RESPONSE_HEADERS, nameAt, putAscii(name, nameAt), outAddress, outLength));
}

export function replaceHeader(map: i32, name: usize, nameLength: u32, value: usize, length: u32): void {
  proxy_replace_header_map_value(map, name, nameLength, value, length);
}

export function addHeader(map: i32, name: usize, nameLength: u32, value: usize, length: u32): void {
  proxy_add_header_map_value(map, name, nameLength, value, length);
}

export function removeHeader(map: i32, name: usize, nameLength: u32): void {
  proxy_remove_header_map_value(map, name, nameLength);
}

/** The same by a literal. */
export function replaceNamed(map: i32, name: string, value: usize, length: u32): void {
  proxy_replace_header_map_value(map, nameAt, putAscii(name, nameAt), value, length);
}

/** The same with the text composed last as value. */
export function replaceWithText(map: i32, name: string): void {
  replaceNamed(map, name, textStart(), textLength());
}

export function removeNamed(map: i32, name: string): void {
  proxy_remove_header_map_value(map, nameAt, putAscii(name, nameAt));
}

/** Bytes of the piece of a body whose callback is running. */
export function bodyBytes(response: bool, length: u32): bool {
  clearOut();
  return took(proxy_get_buffer_bytes(response ? RESPONSE_BODY : REQUEST_BODY, 0, length, outAddress, outLength));
}

/**
 * Puts bytes in the place of the piece of a body whose callback is running. Envoy knows nothing finer: all of it, or something in front
 * or behind (envoy `source/extensions/common/wasm/context.cc`, `Buffer::copyFrom`).
 */
export function replaceBody(response: bool, length: u32, bytes: usize, count: u32): void {
  proxy_set_buffer_bytes(response ? RESPONSE_BODY : REQUEST_BODY, 0, length, bytes, count);
}

/** Notes bytes of the acting stream under a name, where `noted` and the access log find them. */
export function note(name: string, value: usize, length: u32): void {
  proxy_set_property(nameAt, putAscii(name, nameAt), value, length);
}

/** What was noted of the acting stream. */
export function noted(name: string): bool {
  return property(nameAt, putAscii(name, nameAt));
}

export function callResponseHeader(name: string): bool {
  clearOut();
  return took(proxy_get_header_map_value(CALL_RESPONSE_HEADERS, nameAt, putAscii(name, nameAt), outAddress, outLength));
}

export function callResponseBody(size: u32): bool {
  clearOut();
  return took(proxy_get_buffer_bytes(CALL_RESPONSE_BODY, 0, size, outAddress, outLength));
}

/** A property by its path, whose segments are joined with zeros. */
export function property(path: usize, length: u32): bool {
  clearOut();
  return took(proxy_get_property(path, length, outAddress, outLength));
}

/** Plugin configuration, `size` bytes of it. */
export function pluginConfiguration(size: u32): bool {
  clearOut();
  return took(proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, outAddress, outLength));
}

/** Change number of the value that `sharedData` read last, for `setSharedData`. */
export let sharedCas: u32 = 0;

export function sharedData(key: usize, length: u32): bool {
  clearOut();
  store<u32>(outNumber, 0);
  const found = took(proxy_get_shared_data(key, length, outAddress, outLength, outNumber));
  sharedCas = load<u32>(outNumber);
  return found;
}

/** @param cas 0 writes whatever is there */
export function setSharedData(key: usize, keyLength: u32, value: usize, length: u32, cas: u32): bool {
  return proxy_set_shared_data(key, keyLength, value, length, cas) == OK;
}

/** @returns the queue's token, or 0 */
export function registerQueue(name: usize, length: u32): u32 {
  store<u32>(outNumber, 0);
  return proxy_register_shared_queue(name, length, outNumber) == OK ? load<u32>(outNumber) : 0;
}

/** Wakes the queue's VM with an empty message's worth of content: one byte. */
export function wakeQueue(token: u32): bool {
  return proxy_enqueue_shared_queue(token, nameAt, 1) == OK;
}

/** Takes one message. @returns false when the queue is empty */
export function dequeue(token: u32): bool {
  clearOut();
  return took(proxy_dequeue_shared_queue(token, outAddress, outLength));
}

/** @returns the call's token, or 0xffffffff when it couldn't be sent */
export function httpCall(
  cluster: usize,
  clusterLength: u32,
  pairs: usize,
  pairsLength: u32,
  body: usize,
  bodyLength: u32,
  timeoutMs: u32,
): u32 {
  store<u32>(outNumber, 0);
  const status = proxy_http_call(cluster, clusterLength, pairs, pairsLength, body, bodyLength, 0, 0, timeoutMs, outNumber);
  return status == OK ? load<u32>(outNumber) : 0xffffffff;
}

/** Makes a context the one that the following host calls act on. @returns false when it is gone */
export function actOn(context: u32): bool {
  return proxy_set_effective_context(context) == OK;
}

export function setTick(ms: u32): void {
  proxy_set_tick_period_milliseconds(ms);
}

export function continueStream(response: bool): void {
  proxy_continue_stream(response ? RESPONSE_STREAM : REQUEST_STREAM);
}

/** Resets the acting stream. */
export function closeStream(response: bool): void {
  proxy_close_stream(response ? RESPONSE_STREAM : REQUEST_STREAM);
}

/** @param grpcStatus 0xffffffff = none */
export function sendResponse(
  status: u32,
  details: string,
  body: usize,
  bodyLength: u32,
  pairs: usize,
  pairsLength: u32,
  grpcStatus: u32,
): void {
  proxy_send_local_response(status, nameAt, putAscii(details, nameAt), body, bodyLength, pairs, pairsLength, grpcStatus);
}

/** @param name what follows `wasmcustom.hfi_` @returns the metric's id, or 0 */
export function defineMetric(type: i32, name: string): u32 {
  const prefix = putAscii('wasmcustom.hfi_', nameAt);
  store<u32>(outNumber, 0);
  return proxy_define_metric(type, nameAt, prefix + putAscii(name, nameAt + prefix), outNumber) == OK ? load<u32>(outNumber) : 0;
}

export function addToMetric(metric: u32, by: i64): void {
  proxy_increment_metric(metric, by);
}

export function setMetric(metric: u32, value: u64): void {
  proxy_record_metric(metric, value);
}

/** A metric's value over all VMs of this Envoy. */
export function metricValue(metric: u32): u64 {
  store<u64>(outMetric, 0);
  proxy_get_metric(metric, outMetric);
  return load<u64>(outMetric);
}
