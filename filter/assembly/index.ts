import { arenaAllocate, resetArena } from './arena';
import { bodyPiece } from './body';
import { resetClock } from './clock';
import { DIRECTION_UNKNOWN, maxDelayed, readConfiguration, readDirection } from './config';
import { limitDelayed } from './delays';
import { actOn, LOG_WARN, logText, pluginConfiguration, registerQueue, resultAt, resultLength } from './host';
import { readIdentity } from './identity';
import { reserveKept } from './kept';
import { pollAnswered, startLoop, stopLoop, tick, woken } from './loop';
import { defineMetrics, showConfigInvalid } from './metrics';
import { answered, forgetPoll } from './poll';
import { seedRandom } from './random';
import { forgetStream, releaseInPassing } from './release';
import { reportAnswered } from './report';
import { CONTINUE, decideRequest } from './request';
import { responseHead, responseTrailers } from './response';
import { directionOf, dropRoot, isRoot, primaryRoot, putRoot } from './roots';
import { drawEpoch } from './shared-tallies';
import { reserveSlots } from './slots';
import { reserveStreams, tracked } from './streams';
import { reserveTallies } from './tallies';
import { addAscii, addHex, beginText, textLength, textStart } from './text';
import { nameVm, ownId, ownQueue, setOwnQueue } from './vms';

/** What the host calls (proxy-wasm ABI 0.2.1). Only the callbacks that are used are exported: each costs time per request. */

/** The stream created last and its root: the host creates a stream right before it hands over its headers. */
let lastStream: u32 = 0;
let lastRoot: u32 = 0;

function enter(): void {
  resetArena();
  resetClock();
}

export function proxy_abi_version_0_2_1(): void {}

/** Memory for what the host returns; called while one of our own host calls is under way. */
export function proxy_on_memory_allocate(size: u32): usize {
  return arenaAllocate(size);
}

export function proxy_on_vm_start(root: u32, size: u32): u32 {
  return 1;
}

/** Fails open: a configuration that can't be read is shown and the one before stays. */
export function proxy_on_configure(root: u32, size: u32): u32 {
  enter();
  seedRandom();
  defineMetrics();
  nameVm();
  reserveSlots(1);
  reserveKept();
  reserveStreams();
  reserveTallies();
  drawEpoch();
  const read = pluginConfiguration(size) && readConfiguration(resultAt, resultLength);
  showConfigInvalid(!read);
  if (!read) {
    beginText();
    addAscii(
      'hfi: the plugin configuration can not be read: an object with cluster, and optionally authority, token, direction, leaseMs (1000 to 3600000), maxDelayedRequests (0 to 100000) is needed; the one before stays',
    );
    logText(LOG_WARN);
    return 1;
  }
  limitDelayed(maxDelayed);
  readIdentity();
  if (ownQueue == 0) {
    beginText();
    addAscii('hfi/q/');
    addHex(ownId);
    setOwnQueue(registerQueue(textStart(), textLength()));
  }
  if (putRoot(root, readDirection)) startLoop();
  return 1;
}

export function proxy_on_context_create(context: u32, parent: u32): void {
  lastStream = context;
  lastRoot = parent;
}

export function proxy_on_request_headers(stream: u32, count: u32, endOfStream: u32): u32 {
  enter();
  if (releaseInPassing()) actOn(stream);
  return decideRequest(stream, stream == lastStream ? directionOf(lastRoot) : DIRECTION_UNKNOWN, endOfStream != 0);
}

export function proxy_on_request_body(stream: u32, size: u32, endOfStream: u32): u32 {
  if (tracked(stream) == 0) return CONTINUE;
  enter();
  return bodyPiece(stream, size, endOfStream != 0, false);
}

export function proxy_on_response_headers(stream: u32, count: u32, endOfStream: u32): u32 {
  if (tracked(stream) == 0) return CONTINUE;
  enter();
  return responseHead(stream, endOfStream != 0);
}

export function proxy_on_response_body(stream: u32, size: u32, endOfStream: u32): u32 {
  if (tracked(stream) == 0) return CONTINUE;
  enter();
  return bodyPiece(stream, size, endOfStream != 0, true);
}

export function proxy_on_response_trailers(stream: u32, count: u32): u32 {
  if (tracked(stream) == 0) return CONTINUE;
  enter();
  responseTrailers(stream);
  return CONTINUE;
}

export function proxy_on_tick(root: u32): void {
  enter();
  tick(root);
}

export function proxy_on_queue_ready(root: u32, queue: u32): void {
  enter();
  woken(queue);
}

export function proxy_on_http_call_response(root: u32, token: u32, headers: u32, bodySize: u32, trailers: u32): void {
  enter();
  if (answered(token, bodySize)) pollAnswered(primaryRoot());
  else reportAnswered(token);
}

export function proxy_on_delete(context: u32): void {
  forgetStream(context);
  if (!isRoot(context)) return;
  enter();
  if (dropRoot(context) && primaryRoot() != 0) {
    // The answer would have come to the root that is gone.
    forgetPoll();
    startLoop();
  }
  if (primaryRoot() == 0) stopLoop();
}

/** AssemblyScript's own failures. There are none on the way of a request; if one comes, the host gets to know it. */
function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
