import { type Document, isScalar, visit } from 'yaml';

export interface DuplicateKey {
  readonly key: string;
  /** Where the second one begins, in characters from the text's start. */
  readonly offset: number;
}

/**
 * Keys that stand twice in one mapping, in time linear in the document. The parser's own check (`uniqueKeys`) compares each key with
 * every other, so that a body of 1 MB with one large mapping takes over a minute.
 */
export function duplicateKeys(document: Document.Parsed): DuplicateKey[] {
  const found: DuplicateKey[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) found.push({ key: String(key.value), offset: key.range?.[0] ?? 0 });
        seen.add(key.value);
      }
    },
  });
  return found;
}
