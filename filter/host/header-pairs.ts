/** Texts and header pairs as proxy-Wasm passes them (proxy-wasm/spec `abi-versions/v0.2.1`, serialized maps). */
const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

export function bytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? utf8.encode(value) : value;
}

export function textOf(value: Uint8Array): string {
  return text.decode(value);
}

/** Header pairs as the host passes them. */
export function pairs(list: readonly (readonly [string | Uint8Array, string | Uint8Array])[]): Uint8Array {
  const parts = list.map(([name, value]) => [bytes(name), bytes(value)] as const);
  const out = new Uint8Array(parts.reduce((sum, [name, value]) => sum + 10 + name.length + value.length, 4));
  const view = new DataView(out.buffer);
  view.setUint32(0, parts.length, true);
  let at = 4 + parts.length * 8;
  parts.forEach(([name, value], i) => {
    view.setUint32(4 + i * 8, name.length, true);
    view.setUint32(8 + i * 8, value.length, true);
    out.set(name, at);
    out.set(value, at + name.length + 1);
    at += name.length + value.length + 2;
  });
  return out;
}

/** The reverse of `pairs`. */
export function unpair(from: Uint8Array): [string, string][] {
  if (from.length < 4) return [];
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const count = view.getUint32(0, true);
  let at = 4 + count * 8;
  return Array.from({ length: count }, (_, i) => {
    const name = view.getUint32(4 + i * 8, true);
    const value = view.getUint32(8 + i * 8, true);
    const pair: [string, string] = [textOf(from.subarray(at, at + name)), textOf(from.subarray(at + name + 1, at + name + 1 + value))];
    at += name + value + 2;
    return pair;
  });
}
