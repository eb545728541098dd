import { presentNs } from './clock';
import { resultAt, resultLength, setSharedData, sharedCas, sharedData } from './host';
import { budget } from './in-force';
import { draw } from './random';
import { addAscii, beginText, textLength, textStart } from './text';

/**
 * This proxy's share of the injections that the whole fleet may do in a second: a token bucket in shared data, over all VMs of this Envoy.
 *
 * ```
 * hfi/budget:   injections saved up f64 | as of u64 ns
 * ```
 *
 * It holds a tenth of a second's worth and at least one injection, but never more than a second's worth, so that proxies that were idle can't
 * together do more at once than the fleet may in a second. A share of less than one a second is used up as the chance of one: so it is kept in
 * the mean, without any proxy having to wait for its turn.
 */
const SAVED: u32 = 0;
const AS_OF: u32 = 8;
const VALUE_BYTES: u32 = 16;
/** Workers that count at the same moment try again; more often than that they don't collide. */
const ATTEMPTS: i32 = 64;

const value: usize = memory.data(16, 8);

/** Takes one injection from the budget. @returns false when there is none left */
export function budgetAllows(): bool {
  if (budget == 0) return true;
  const perSecond = <f64>budget;
  const most = max<f64>(min<f64>(perSecond, 1), perSecond / 10);
  const now = presentNs();
  for (let i = 0; i < ATTEMPTS; i++) {
    beginText();
    addAscii('hfi/budget');
    const known = sharedData(textStart(), textLength()) && resultLength == VALUE_BYTES;
    const cas = known ? sharedCas : 0;
    const asOf = known ? load<u64>(resultAt, AS_OF) : 0;
    // Another VM may have read the clock later.
    const saved = known ? min<f64>(most, load<f64>(resultAt, SAVED) + (<f64>max<i64>(now - asOf, 0) / 1e9) * perSecond) : most;
    const takes = perSecond >= 1 ? saved >= 1 : <f64>draw() < saved * 4294967295;
    store<f64>(value, perSecond < 1 ? 0 : takes ? saved - 1 : saved, SAVED);
    store<u64>(value, max<u64>(now, asOf), AS_OF);
    if (setSharedData(textStart(), textLength(), value, VALUE_BYTES, cas)) return takes;
  }
  return false;
}
