import { findHeader, foundAt, foundLength } from './header-in';
import { startsWithAscii } from './text';

/**
 * Whether `user-agent` is that of a Kubernetes or Envoy health probe. Sent twice, the first decides: it begins the joined value.
 *
 * @param headers the header map's bytes, found well-formed before
 * @param headerCount how many headers are in it
 */
export function hasProbeAgent(headers: usize, headerCount: u32): bool {
  if (!findHeader(headers, headerCount, 'user-agent')) return false;
  return startsWithAscii(foundAt, foundLength, 'kube-probe/') || startsWithAscii(foundAt, foundLength, 'Envoy/HC');
}
