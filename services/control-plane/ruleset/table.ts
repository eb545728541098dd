import * as layout from '../../../filter/assembly/layout.ts';
import type { Rule } from '../../policy/schema.ts';
import type { Block } from './block.ts';
import { type Condition, chooseListed, conditionsOf, PATH_ALONE } from './condition.ts';
import { compileFault } from './fault.ts';
import { buildTrie, type TrieEntry, type TrieNode } from './trie.ts';

/** A rule at its place in the order of decision. */
export interface OrderedRule {
  readonly rule: Rule;
  /** Milliseconds since the epoch; 0 = no end. */
  readonly end: number;
  /** `<policy>/<rule index>`. */
  readonly name: string;
}

interface Field {
  readonly index: number;
  readonly name: string;
  /** What is listed under each value. */
  readonly values: Map<string, { exact: number[]; prefix: number[] }>;
}

/**
 * Writes the table of one direction.
 *
 * @param rules in the order of decision
 * @returns the table's offset
 */
export function writeTable(block: Block, rules: readonly OrderedRule[]): number {
  const conditions = rules.map(({ rule }) => conditionsOf(rule.match));
  const listed = chooseListed(conditions);
  const fields = fieldsOf(conditions);
  const always: number[] = [];
  conditions.forEach((all, rule) => {
    const chosen = all[listed[rule] ?? -1];
    if (chosen === undefined) always.push(rule);
    else listUnder(fields, chosen, rule);
  });

  const table = block.take(layout.TABLE_BYTES);
  block.u32(table + layout.TABLE_RULE_COUNT, rules.length);
  block.u32(table + layout.TABLE_FIELD_COUNT, fields.size);
  const thresholds = writeRules(
    block,
    table,
    rules,
    conditions.map((all, rule) => all.filter((_, i) => i !== listed[rule])),
    fields,
  );
  block.u32(table + layout.TABLE_MAX_THRESHOLD, Math.max(0, ...thresholds));
  const roots = writeTries(block, table, [...fields.values()]);
  writeFields(block, table, [...fields.values()], roots);
  block.u32(table + layout.TABLE_ALWAYS, block.list(always));
  return table;
}

function fieldsOf(conditions: readonly (readonly Condition[])[]): Map<string, Field> {
  const fields = new Map<string, Field>();
  const names = [PATH_ALONE, ...conditions.flat().map((condition) => condition.field)];
  for (const name of names) {
    if (!fields.has(name)) fields.set(name, { index: fields.size, name, values: new Map() });
  }
  return fields;
}

function listUnder(fields: ReadonlyMap<string, Field>, condition: Condition, rule: number): void {
  const field = fields.get(condition.field);
  if (field === undefined) return;
  const lists = field.values.get(condition.value) ?? { exact: [], prefix: [] };
  (condition.operation === layout.OPERATION_EXACT ? lists.exact : lists.prefix).push(rule);
  field.values.set(condition.value, lists);
}

function writeRules(
  block: Block,
  table: number,
  rules: readonly OrderedRule[],
  remaining: readonly (readonly Condition[])[],
  fields: ReadonlyMap<string, Field>,
): number[] {
  const start = block.take(rules.length * layout.RULE_BYTES, 8);
  block.u32(table + layout.TABLE_RULES, start);
  return rules.map(({ rule, end, name }, i) => {
    const at = start + i * layout.RULE_BYTES;
    const fault = compileFault(rule, name);
    const own = remaining[i] ?? [];
    const body = block.text(fault.body);
    const label = block.text(name);
    block.f64(at + layout.RULE_END, end);
    block.u32(at + layout.RULE_THRESHOLD, fault.threshold);
    block.u32(at + layout.RULE_FLAGS, fault.flags);
    block.u32(at + layout.RULE_CONDITIONS, writeConditions(block, own, fields));
    block.u32(at + layout.RULE_CONDITION_COUNT, own.length);
    block.u32(at + layout.RULE_DELAY_MS, fault.delayMs);
    block.u32(at + layout.RULE_HTTP_STATUS, fault.httpStatus);
    block.u32(at + layout.RULE_GRPC_STATUS, fault.grpcStatus);
    block.u32(at + layout.RULE_BODY, body.offset);
    block.u32(at + layout.RULE_BODY_LENGTH, body.length);
    block.u32(at + layout.RULE_PAIRS, block.place(fault.pairs));
    block.u32(at + layout.RULE_PAIRS_LENGTH, fault.pairs.length);
    block.u32(at + layout.RULE_NAME, label.offset);
    block.u32(at + layout.RULE_NAME_LENGTH, label.length);
    return fault.threshold;
  });
}

function writeConditions(block: Block, conditions: readonly Condition[], fields: ReadonlyMap<string, Field>): number {
  const start = block.take(conditions.length * layout.CONDITION_BYTES);
  conditions.forEach((condition, i) => {
    const at = start + i * layout.CONDITION_BYTES;
    const value = block.text(condition.value);
    block.u32(at + layout.CONDITION_FIELD, fields.get(condition.field)?.index ?? 0);
    block.u32(at + layout.CONDITION_OPERATION, condition.operation);
    block.u32(at + layout.CONDITION_VALUE, value.offset);
    block.u32(at + layout.CONDITION_VALUE_LENGTH, value.length);
  });
  return start;
}

/** @returns per field its root node's index + 1, or 0 */
function writeTries(block: Block, table: number, fields: readonly Field[]): number[] {
  const tries = fields.map((field) => (field.values.size === 0 ? [] : buildTrie(entriesOf(field))));
  const count = tries.reduce((sum, trie) => sum + trie.length, 0);
  const start = block.take(count * layout.NODE_BYTES);
  block.u32(table + layout.TABLE_NODE_COUNT, count);
  block.u32(table + layout.TABLE_NODES, start);
  let base = 0;
  return tries.map((trie) => {
    if (trie.length === 0) return 0;
    const root = base;
    trie.forEach((node, i) => {
      writeNode(block, start + (root + i) * layout.NODE_BYTES, node, root);
    });
    base += trie.length;
    return root + 1;
  });
}

function entriesOf(field: Field): TrieEntry[] {
  return [...field.values].map(([value, lists]) => ({ value: Buffer.from(value, 'utf8'), ...lists }));
}

function writeNode(block: Block, at: number, node: TrieNode, root: number): void {
  block.u32(at + layout.NODE_LABEL, block.place(node.label));
  block.u32(at + layout.NODE_LABEL_LENGTH, node.label.length);
  block.u32(at + layout.NODE_EXACT, node.exact.length === 0 ? 0 : block.list(node.exact));
  block.u32(at + layout.NODE_PREFIX, node.prefix.length === 0 ? 0 : block.list(node.prefix));
  block.u32(at + layout.NODE_CHILD_COUNT, node.firstBytes.length);
  block.u32(at + layout.NODE_FIRST_BYTES, block.place(Uint8Array.from(node.firstBytes)));
  block.u32(at + layout.NODE_FIRST_CHILD, root + node.firstChild);
}

function writeFields(block: Block, table: number, fields: readonly Field[], roots: readonly number[]): void {
  const start = block.take(fields.length * layout.FIELD_BYTES);
  const buckets = block.take(layout.NAME_BUCKETS * 4);
  block.u32(table + layout.TABLE_FIELDS, start);
  block.u32(table + layout.TABLE_NAME_BUCKETS, buckets);
  const next = new Map<number, number>();
  // From the last to the first, so that each chain leads to later fields only.
  for (const field of [...fields].reverse()) {
    const at = start + field.index * layout.FIELD_BYTES;
    const name = block.text(field.name);
    block.u32(at + layout.FIELD_NAME, name.offset);
    block.u32(at + layout.FIELD_NAME_LENGTH, name.length);
    block.u32(at + layout.FIELD_TRIE, roots[field.index] ?? 0);
    if (field.name === PATH_ALONE) continue;
    const bucket = bucketOf(field.name);
    block.u32(at + layout.FIELD_NEXT, next.get(bucket) ?? 0);
    next.set(bucket, field.index + 1);
  }
  for (const [bucket, first] of next) block.u32(buckets + bucket * 4, first);
}

function bucketOf(name: string): number {
  const byte = (i: number): number => name.charCodeAt(i);
  return layout.nameBucket(name.length, byte(0), byte(name.length >> 1), byte(name.length - 1));
}
