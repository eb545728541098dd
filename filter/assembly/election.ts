import { presentNs } from './clock';
import { resultAt, resultLength, setSharedData, sharedCas, sharedData } from './host';
import { addAscii, beginText, textLength, textStart } from './text';
import { ownId } from './vms';

/**
 * Which VM of this Envoy talks to the control plane.
 *
 * ```
 * hfi/leader:  id u64 | heartbeat u64 ns
 * ```
 *
 * The shared data's compare-and-swap writes unconditionally when there is no value yet, so two VMs can both believe that
 * they won. Therefore a claim counts only when it is found unchanged at a later look, and the leader looks before each poll.
 */
const RECORD_BYTES: u32 = 16;
/** A leader that showed no life for so long has lost its turn. */
const STALE_NS: u64 = 3_000_000_000;

const record: usize = memory.data(16, 8);

function key(): u32 {
  beginText();
  addAscii('hfi/leader');
  return textLength();
}

/** Looks who leads; claims the turn when nobody does. @returns whether this VM leads, so may poll */
export function leads(): bool {
  const now = presentNs();
  let keyLength = key();
  const found = sharedData(textStart(), keyLength) && resultLength == RECORD_BYTES;
  const cas = sharedCas;
  const holder = found ? load<u64>(resultAt) : 0;
  const idle = found ? <i64>(now - load<u64>(resultAt, 8)) : 0;
  const mine = holder == ownId;
  if (found && !mine && idle <= <i64>STALE_NS) return false;
  store<u64>(record, ownId);
  store<u64>(record, now, 8);
  keyLength = key();
  const written = setSharedData(textStart(), keyLength, record, RECORD_BYTES, cas);
  return mine && written;
}

/** Gives the turn up, so that another VM need not wait for it to go stale. */
export function resign(): void {
  let keyLength = key();
  if (!sharedData(textStart(), keyLength) || resultLength != RECORD_BYTES || load<u64>(resultAt) != ownId) return;
  const cas = sharedCas;
  store<u64>(record, 0);
  store<u64>(record, 0, 8);
  keyLength = key();
  setSharedData(textStart(), keyLength, record, RECORD_BYTES, cas);
}
