import { createRequire } from 'node:module';

/** RE2 itself, compiled to Wasm: what `re2-wasm` wraps, without its translation from JavaScript's syntax. */

interface Wrapped {
  ok(): boolean;
  error(): string;
  match(text: Uint8Array, start: number, groups: boolean): { readonly index: number };
  /** Frees its memory, of which there is 16 MiB. */
  delete(): void;
}

interface Wasm {
  readonly WrappedRE2: new (pattern: string, ignoreCase: boolean, multiline: boolean, dotAll: boolean) => Wrapped;
}

const { WrappedRE2 } = createRequire(import.meta.url)('re2-wasm/build/wasm/re2.js') as Wasm;

/** Why RE2 refuses a pattern; undefined when it takes it. */
export function refusal(pattern: string): string | undefined {
  const wrapped = new WrappedRE2(pattern, false, false, false);
  const reason = wrapped.ok() ? undefined : wrapped.error();
  wrapped.delete();
  return reason;
}

/** Which of the texts an expression that RE2 takes matches as a whole. */
export function wholeMatches(pattern: string, texts: readonly Uint8Array[], ignoreCase = false): boolean[] {
  const wrapped = new WrappedRE2(`\\A(?:${pattern})\\z`, ignoreCase, false, false);
  try {
    if (!wrapped.ok()) throw new Error(`RE2 refuses ${pattern}: ${wrapped.error()}`);
    return texts.map((text) => wrapped.match(text, 0, false).index >= 0);
  } finally {
    wrapped.delete();
  }
}
