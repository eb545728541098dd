const utf8 = new TextEncoder();

/** Headers as proxy-wasm passes them: count, a pair of lengths each, then the bytes, each string ended by a zero (ABI 0.2.1). */
export function headerPairs(headers: readonly (readonly [string, string])[]): Uint8Array {
  const texts = headers.map(([name, value]) => [utf8.encode(name.toLowerCase()), utf8.encode(value)] as const);
  const size = texts.reduce((sum, [name, value]) => sum + 8 + name.length + 1 + value.length + 1, 4);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, texts.length, true);
  let at = 4 + texts.length * 8;
  texts.forEach(([name, value], i) => {
    view.setUint32(4 + i * 8, name.length, true);
    view.setUint32(8 + i * 8, value.length, true);
    bytes.set(name, at);
    bytes.set(value, at + name.length + 1);
    at += name.length + 1 + value.length + 1;
  });
  return bytes;
}

/** Where the first header's value begins in the pairs made of them. */
export function firstValueAt(headers: readonly (readonly [string, string])[]): number {
  return 4 + headers.length * 8 + utf8.encode(headers[0]?.[0] ?? '').length + 1;
}
