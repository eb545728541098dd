import * as layout from '../../../filter/assembly/layout.ts';
import type { Block } from './block.ts';
import { type Condition, type FieldKey, type Listing, PATH_ALONE } from './condition.ts';
import type { TrieEntry } from './trie.ts';

export interface Field {
  readonly index: number;
  readonly key: FieldKey;
  /** What is listed under each text, by the text's bytes. */
  readonly values: Map<string, { readonly value: Uint8Array; readonly exact: number[]; readonly prefix: number[] }>;
}

/** The fields of a table in its order: the path alone, headers, query parameters, cookies, and then what is derived. */
export class Fields {
  readonly all: readonly Field[];
  readonly #byKey: ReadonlyMap<string, Field>;

  constructor(keys: readonly FieldKey[]) {
    const distinct = new Map([PATH_ALONE, ...keys].map((key) => [textOf(key), key]));
    // The kinds' numbers are in the table's order.
    this.all = [...distinct.values()].sort((a, b) => a.kind - b.kind).map((key, index) => ({ index, key, values: new Map() }));
    this.#byKey = new Map(this.all.map((field) => [textOf(field.key), field]));
  }

  indexOf(key: FieldKey): number {
    return this.#byKey.get(textOf(key))?.index ?? 0;
  }

  /** Lists a rule under the texts of which its requests begin with one, or have one. */
  list(listing: Listing, rule: number): void {
    const { values } = this.all[this.indexOf(listing.field)] ?? { values: new Map() };
    for (const value of listing.values) {
      const key = Buffer.from(value).toString('latin1');
      const lists = values.get(key) ?? { value, exact: [], prefix: [] };
      (listing.operation === layout.OPERATION_EXACT ? lists.exact : lists.prefix).push(rule);
      values.set(key, lists);
    }
  }

  /**
   * Writes the records, the buckets of names and where what is derived begins.
   *
   * @param roots per field the index + 1 of its trie's root; 0 for none
   */
  write(block: Block, table: number, roots: readonly number[]): void {
    const start = block.take(this.all.length * layout.FIELD_BYTES);
    const derived = this.all.findIndex(({ key }) => key.kind > layout.KIND_COOKIE);
    block.u32(table + layout.TABLE_FIELD_COUNT, this.all.length);
    block.u32(table + layout.TABLE_FIELDS, start);
    block.u32(table + layout.TABLE_DERIVED, derived === -1 ? this.all.length : derived);
    this.all.forEach(({ key }, i) => {
      const at = start + i * layout.FIELD_BYTES;
      const name = block.text(key.name);
      block.u32(at + layout.FIELD_NAME, name.offset);
      block.u32(at + layout.FIELD_NAME_LENGTH, name.length);
      block.u32(at + layout.FIELD_TRIE, roots[i] ?? 0);
      block.u32(at + layout.FIELD_KIND, key.kind);
    });
    block.u32(table + layout.TABLE_NAME_BUCKETS, this.#writeBuckets(block, start, layout.KIND_HEADER));
    for (const [kind, at] of [
      [layout.KIND_QUERY, layout.TABLE_QUERY_BUCKETS],
      [layout.KIND_COOKIE, layout.TABLE_COOKIE_BUCKETS],
    ] as const) {
      if (this.all.some(({ key }) => key.kind === kind)) block.u32(table + at, this.#writeBuckets(block, start, kind));
    }
  }

  #writeBuckets(block: Block, fields: number, kind: number): number {
    const buckets = block.take(layout.NAME_BUCKETS * 4);
    const first = new Map<number, number>();
    // From the last to the first, so that each chain leads to later fields only.
    for (const { index, key } of [...this.all].reverse()) {
      if (key.kind !== kind) continue;
      const bucket = bucketOf(key.name);
      block.u32(fields + index * layout.FIELD_BYTES + layout.FIELD_NEXT, first.get(bucket) ?? 0);
      first.set(bucket, index + 1);
    }
    for (const [bucket, field] of first) block.u32(buckets + bucket * 4, field);
    return buckets;
  }
}

/** Every field that conditions look at, those inside groups too. */
export function fieldsIn(conditions: readonly Condition[]): FieldKey[] {
  return conditions.flatMap(({ field, groups }) => (groups === undefined ? [field] : groups.flatMap(fieldsIn)));
}

export function trieEntries({ values }: Field): TrieEntry[] {
  return [...values.values()];
}

function textOf({ kind, name }: FieldKey): string {
  return `${kind} ${name}`;
}

function bucketOf(name: string): number {
  const bytes = Buffer.from(name, 'utf8');
  const byte = (i: number): number => bytes[i] ?? 0;
  return layout.nameBucket(bytes.length, byte(0), byte(bytes.length >> 1), byte(bytes.length - 1));
}
