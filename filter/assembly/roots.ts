import { DIRECTION_UNKNOWN } from './config';

/**
 * The plugin's root contexts in this VM. Istio makes one for each different configuration, so inbound and outbound traffic
 * come by two roots when each has its own `direction`.
 */
const MOST: u32 = 32;
const ids: usize = memory.data(32 * 4, 4);
const directions: usize = memory.data(32 * 4, 4);
let count: u32 = 0;

/** The root whose timer this VM uses; 0 when there is none. */
export function primaryRoot(): u32 {
  return count == 0 ? 0 : load<u32>(ids);
}

export function isRoot(context: u32): bool {
  return placeOf(context) < count;
}

function placeOf(root: u32): u32 {
  let i: u32 = 0;
  while (i < count && load<u32>(ids + i * 4) != root) i++;
  return i;
}

/** @returns whether this root became the primary one */
export function putRoot(root: u32, direction: u32): bool {
  const place = placeOf(root);
  if (place == MOST) return false;
  store<u32>(ids + place * 4, root);
  store<u32>(directions + place * 4, direction);
  if (place == count) count++;
  return place == 0;
}

export function directionOf(root: u32): u32 {
  const place = placeOf(root);
  return place == count ? DIRECTION_UNKNOWN : load<u32>(directions + place * 4);
}

/** @returns whether the primary root is another one now */
export function dropRoot(root: u32): bool {
  const place = placeOf(root);
  if (place == count) return false;
  count--;
  for (let i = place; i < count; i++) {
    store<u32>(ids + i * 4, load<u32>(ids + (i + 1) * 4));
    store<u32>(directions + i * 4, load<u32>(directions + (i + 1) * 4));
  }
  return place == 0;
}
