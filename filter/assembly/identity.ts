import { reserve } from './arena';
import { LOG_WARN, logText, property, resultAt, resultLength } from './host';
import { showUnreadable } from './metrics';
import { addAscii, addBytes, beginText, textLength, textStart } from './text';

/**
 * Who this proxy is, from Envoy's node: read once, kept as bytes. `xds.node` is where Envoy has it since 1.30; `node` is
 * what older hosts know.
 */

const CAPACITY: u32 = 16 * 1024;

let memoryAt: usize = 0;
let used: u32 = 0;
let known = false;

export let nodeAt: usize = 0;
export let nodeLength: u32 = 0;
export let namespaceAt: usize = 0;
export let namespaceLength: u32 = 0;
export let workloadAt: usize = 0;
export let workloadLength: u32 = 0;
/** `key=value,key=value`. */
export let labelsAt: usize = 0;
export let labelsLength: u32 = 0;

export let nodeRead = false;
export let namespaceRead = false;
export let workloadRead = false;
export let labelsRead = false;

export function readIdentity(): void {
  if (known) return;
  known = true;
  memoryAt = reserve(CAPACITY);
  if (memoryAt == 0) return;
  nodeRead = nodeProperty('id');
  nodeAt = keepResult();
  nodeLength = kept;
  namespaceRead = nodeProperty('metadata\0NAMESPACE');
  namespaceAt = keepResult();
  namespaceLength = kept;
  workloadRead = nodeProperty('metadata\0WORKLOAD_NAME') || nodeProperty('metadata\0NAME');
  workloadAt = keepResult();
  workloadLength = kept;
  labelsRead = nodeProperty('metadata\0LABELS');
  readLabels();
  showUnreadable(!identityComplete());
  if (!identityComplete()) {
    beginText();
    addAscii('hfi: can not read of the node: ');
    addUnreadable();
    addAscii('; faults by selector will not reach this proxy');
    logText(LOG_WARN);
  }
}

/** Adds the names of what could not be read, joined with `,`, to the text. */
export function addUnreadable(): void {
  let comma = false;
  if (!nodeRead) comma = addName(comma, 'node');
  if (!namespaceRead) comma = addName(comma, 'namespace');
  if (!workloadRead) comma = addName(comma, 'workload');
  if (!labelsRead) addName(comma, 'labels');
}

export function identityComplete(): bool {
  return nodeRead && namespaceRead && workloadRead && labelsRead;
}

function addName(comma: bool, name: string): bool {
  if (comma) addAscii(',');
  addAscii(name);
  return true;
}

function nodeProperty(path: string): bool {
  beginText();
  addAscii('xds\0node\0');
  addAscii(path);
  if (property(textStart(), textLength())) return true;
  beginText();
  addAscii('node\0');
  addAscii(path);
  return property(textStart(), textLength());
}

let kept: u32 = 0;

/** Copies what the host said last; its length is left in `kept`. */
function keepResult(): usize {
  kept = resultLength;
  if (used + kept > CAPACITY) kept = CAPACITY - used;
  const to = memoryAt + used;
  memory.copy(to, resultAt, kept);
  used += kept;
  return to;
}

/** A map comes as a header map does: count, a pair of lengths each, then the bytes with a zero after each string. */
function readLabels(): void {
  labelsAt = memoryAt + used;
  labelsLength = 0;
  if (!labelsRead || resultLength < 4) return;
  const count = load<u32>(resultAt);
  const end = resultAt + resultLength;
  if (<u64>count * 8 + 4 > <u64>resultLength) {
    labelsRead = false;
    return;
  }
  let at = resultAt + 4 + <usize>count * 8;
  beginText();
  for (let i: u32 = 0; i < count; i++) {
    const keyLength = load<u32>(resultAt + 4 + i * 8);
    const valueLength = load<u32>(resultAt + 8 + i * 8);
    if (<u64>at + <u64>keyLength + <u64>valueLength + 2 > <u64>end) {
      labelsRead = false;
      return;
    }
    if (i != 0) addAscii(',');
    addBytes(at, keyLength);
    addAscii('=');
    addBytes(at + keyLength + 1, valueLength);
    at += keyLength + valueLength + 2;
  }
  labelsLength = min(textLength(), CAPACITY - used);
  memory.copy(labelsAt, textStart(), labelsLength);
  used += labelsLength;
}
