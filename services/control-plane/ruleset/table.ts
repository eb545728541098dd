import * as layout from '../../../filter/assembly/layout.ts';
import { proxyLimit } from '../../policy/match.ts';
import { threshold } from '../../policy/percentage.ts';
import type { Fault, Match, Rule } from '../../policy/schema.ts';
import type { TextMatch } from '../../policy/string-match.ts';
import { compileAction } from './action.ts';
import type { Block } from './block.ts';
import { type Condition, chooseListed, conditionsOf, type FieldKey, listingOf, notPath } from './condition.ts';
import { type Field, Fields, fieldsIn, trieEntries } from './fields.ts';
import { writeRamp } from './ramp.ts';
import { buildTrie, type TrieNode } from './trie.ts';
import { ConditionWriter } from './write-conditions.ts';

/** A rule at its place in the order of decision. */
export interface OrderedRule {
  readonly rule: Rule;
  /** Milliseconds since the epoch; 0 = no end. */
  readonly end: number;
  /** `<policy>/<rule index>`. */
  readonly name: string;
  /** When its policy was applied, in milliseconds since the epoch. */
  readonly appliedAt: number;
  /** What is counted of it has this key. */
  readonly key: bigint;
  /** Paths that it is not for, whatever its match says. */
  readonly never?: readonly TextMatch[] | undefined;
  /** Only counted. */
  readonly shadow: boolean;
}

/**
 * Writes the table of one direction.
 *
 * @param rules in the order of decision
 * @returns the table's offset
 */
export function writeTable(block: Block, rules: readonly OrderedRule[]): number {
  const conditions = rules.map(({ rule, never = [] }) => [...conditionsOf(rule.match), ...never.map(notPath)]);
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
  return rules.map((one, i) => {
    const { rule, name } = one;
    const at = start + i * layout.RULE_BYTES;
    const sticky = stickyField(rule.fault);
    const own = remaining[i] ?? [];
    const action = compileAction(rule.fault, name, one.appliedAt, one.key);
    const place = block.place(action.bytes, 4);
    const most = writeDice(block, at, one);
    const counted = isCounted(rule.match);
    block.f64(at + layout.RULE_END, one.end);
    block.u16(at + layout.RULE_FLAGS, flagsOf(one, counted));
    block.u32(at + layout.RULE_CONDITIONS, writer.write(own));
    block.u16(at + layout.RULE_CONDITION_COUNT, own.length);
    block.u32(at + layout.RULE_ACTION, place);
    block.u32(at + layout.RULE_ACTION_LENGTH, action.bytes.length);
    block.u32(at + layout.RULE_NAME, action.nameAt * 256 + Buffer.byteLength(name));
    block.u32(at + layout.RULE_STICKY, sticky === undefined ? 0 : fields.indexOf(sticky) + 1);
    block.u32(at + layout.RULE_SEED, rule.fault.sticky?.seed ?? 0);
    block.u32(at + layout.RULE_TURNS, writeTurns(block, one, counted));
    // Whom a sticky rule hits, the dice don't say; and who counts must see every match, also when it hits none.
    return counted || (sticky !== undefined && most !== 0) ? 0xffffffff : most;
  });
}

/** Writes what a draw is held against. @returns the largest draw + 1 that fires the rule at any time */
function writeDice(block: Block, at: number, { rule, appliedAt }: OrderedRule): number {
  const { percentage } = rule.fault;
  const ramp = typeof percentage === 'number' ? undefined : percentage.ramp;
  const most = typeof percentage === 'number' ? threshold(percentage) : threshold(Math.max(percentage.ramp.from, percentage.ramp.to));
  block.u32(at + layout.RULE_THRESHOLD, most);
  if (ramp === undefined) return most;
  const place = block.take(layout.RAMP_BYTES, 8);
  writeRamp(block, place, { from: threshold(ramp.from), to: threshold(ramp.to), over: ramp.over }, appliedAt);
  block.u32(at + layout.RULE_RAMP, place);
  return most;
}

function flagsOf({ rule, shadow }: OrderedRule, counted: boolean): number {
  const probes = rule.match?.probes === true ? layout.FLAG_PROBES : 0;
  return probes | (shadow ? layout.FLAG_SHADOW : 0) | (counted ? layout.FLAG_COUNTED : 0);
}

function isCounted({ after, every, limit, sequence }: Partial<Match> = {}): boolean {
  return after !== undefined || every !== undefined || limit !== undefined || sequence !== undefined;
}

/** @returns the offset of the record, or 0 when each match counts */
function writeTurns(block: Block, { rule }: OrderedRule, counted: boolean): number {
  const { after, every, sequence = [], window } = rule.match ?? {};
  if (!counted && window?.start === undefined) return 0;
  const at = block.take(layout.TURNS_BYTES, 8);
  block.f64(at + layout.TURNS_START, window?.start === undefined ? 0 : Date.parse(window.start));
  block.u32(at + layout.TURNS_AFTER, after ?? 0);
  block.u32(at + layout.TURNS_EVERY, every ?? 0);
  block.u32(at + layout.TURNS_LIMIT, proxyLimit(rule.match) ?? 0xffffffff);
  block.u32(at + layout.TURNS_SEQUENCE, block.place(Uint8Array.from(sequence, (turn) => (turn === 'fault' ? 1 : 0))));
  block.u32(at + layout.TURNS_SEQUENCE_LENGTH, sequence.length);
  return at;
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
