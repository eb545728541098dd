/**
 * Whether `user-agent` is that of a Kubernetes or Envoy health probe.
 *
 * @param headers the header map's bytes, found well-formed before
 * @param headerCount how many headers are in it
 */
export function hasProbeAgent(headers: usize, headerCount: u32): bool {
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    const value = at + nameLength + 1;
    // "user-age" and "gent".
    if (nameLength == 10 && load<u64>(at) == 0x6567612d72657375 && load<u32>(at + 6) == 0x746e6567) {
      // Sent twice, the first decides: the value that counts is the one that begins the joined one.
      return isProbeAgent(value, valueLength);
    }
    at = value + valueLength + 1;
  }
  return false;
}

function isProbeAgent(value: usize, length: u32): bool {
  // "kube-pro" and "obe/"; "Envoy/HC".
  if (length >= 11 && load<u64>(value) == 0x6f72702d6562756b && load<u32>(value + 7) == 0x2f65626f) return true;
  return length >= 8 && load<u64>(value) == 0x43482f796f766e45;
}
