import * as layout from '../../../filter/assembly/layout.ts';
import type { Fault, Rule } from '../../policy/schema.ts';
import type { Block } from './block.ts';
import { type Condition, chooseListed, conditionsOf, type FieldKey, listingOf } from './condition.ts';
import { compileFault } from './fault.ts';
import { type Field, Fields, fieldsIn, trieEntries } from './fields.ts';
import { buildTrie, type TrieNode } from './trie.ts';
import { ConditionWriter } from './write-conditions.ts';

/** A rule at its place in the order of decision. */
export interface OrderedRule {
  readonly rule: Rule;
  /** Milliseconds since the epoch; 0 = no end. */
  readonly end: number;
  /** `<policy>/<rule index>`. */
  readonly name: string;
}

/**
 * Writes the table of one direction.
 *
 * @param rules in the order of decision
 * @returns the table's offset
 */
export function writeTable(block: Block, rules: readonly OrderedRule[]): number {
  const conditions = rules.map(({ rule }) => conditionsOf(rule.match));
  const listings = conditions.map((all) => all.map(listingOf));
  const listed = chooseListed(listings);
  const fields = new Fields([...conditions.flatMap(fieldsIn), ...rules.flatMap(({ rule }) => stickyField(rule.fault) ?? [])]);
  const always: number[] = [];
  listed.forEach((chosen, rule) => {
    const listing = listings[rule]?.[chosen];
    if (listing === undefined) always.push(rule);
    else fields.list(listing, rule);
  });
  const remaining = conditions.map((all, rule) => all.filter((_, i) => i !== listed[rule] || listings[rule]?.[i]?.complete !== true));

  const table = block.take(layout.TABLE_BYTES);
  block.u32(table + layout.TABLE_RULE_COUNT, rules.length);
  const writer = new ConditionWriter(block, (field) => fields.indexOf(field));
  const thresholds = writeRules(block, table, rules, remaining, fields, writer);
  block.u32(table + layout.TABLE_AUTOMATA, writer.finish());
  block.u32(table + layout.TABLE_MAX_THRESHOLD, Math.max(0, ...thresholds));
  fields.write(block, table, writeTries(block, table, fields.all));
  block.u32(table + layout.TABLE_ALWAYS, block.list(always));
  return table;
}

/** @returns the draws that rules need, at most */
function writeRules(
  block: Block,
  table: number,
  rules: readonly OrderedRule[],
  remaining: readonly (readonly Condition[])[],
  fields: Fields,
  writer: ConditionWriter,
): number[] {
  const start = block.take(rules.length * layout.RULE_BYTES, 8);
  block.u32(table + layout.TABLE_RULES, start);
  return rules.map(({ rule, end, name }, i) => {
    const at = start + i * layout.RULE_BYTES;
    const fault = compileFault(rule, name);
    const sticky = stickyField(rule.fault);
    const own = remaining[i] ?? [];
    const body = block.text(fault.body);
    const label = block.text(name);
    block.f64(at + layout.RULE_END, end);
    block.u32(at + layout.RULE_THRESHOLD, fault.threshold);
    block.u32(at + layout.RULE_FLAGS, fault.flags);
    block.u32(at + layout.RULE_CONDITIONS, writer.write(own));
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
    block.u32(at + layout.RULE_STICKY, sticky === undefined ? 0 : fields.indexOf(sticky) + 1);
    block.u32(at + layout.RULE_SEED, rule.fault.sticky?.seed ?? 0);
    // Whom a sticky rule hits, the dice don't say.
    return sticky === undefined || fault.threshold === 0 ? fault.threshold : 0xffffffff;
  });
}

/** What the rule's dice stick to. */
function stickyField({ sticky }: Fault): FieldKey | undefined {
  if (sticky?.header !== undefined) return { kind: layout.KIND_HEADER, name: sticky.header };
  return sticky?.cookie === undefined ? undefined : { kind: layout.KIND_COOKIE, name: sticky.cookie };
}

/** @returns per field its root node's index + 1, or 0 */
function writeTries(block: Block, table: number, fields: readonly Field[]): number[] {
  const tries = fields.map((field) => (field.values.size === 0 ? [] : buildTrie(trieEntries(field))));
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

function writeNode(block: Block, at: number, node: TrieNode, root: number): void {
  block.u32(at + layout.NODE_LABEL, block.place(node.label));
  block.u32(at + layout.NODE_LABEL_LENGTH, node.label.length);
  block.u32(at + layout.NODE_EXACT, node.exact.length === 0 ? 0 : block.list(node.exact));
  block.u32(at + layout.NODE_PREFIX, node.prefix.length === 0 ? 0 : block.list(node.prefix));
  block.u32(at + layout.NODE_CHILD_COUNT, node.firstBytes.length);
  block.u32(at + layout.NODE_FIRST_BYTES, block.place(Uint8Array.from(node.firstBytes)));
  block.u32(at + layout.NODE_FIRST_CHILD, root + node.firstChild);
}
