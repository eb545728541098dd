import { nowMs } from './clock';
import { RAMP_BEGIN, RAMP_FROM, RAMP_OVER, RAMP_TO } from './layout';

/** Where a ramp is now: `from` until it begins, `to` once it is over. */
export function rampNow(ramp: usize): u32 {
  const from = load<u32>(ramp + RAMP_FROM);
  const to = load<u32>(ramp + RAMP_TO);
  const over = load<f64>(ramp + RAMP_OVER);
  const passed = nowMs() - load<f64>(ramp + RAMP_BEGIN);
  if (passed >= over) return to;
  if (!(passed > 0)) return from;
  return <u32>(<f64>from + (<f64>to - <f64>from) * (passed / over));
}
