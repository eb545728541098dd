import { createHash } from 'node:crypto';
import {
  HEADER_BYTES,
  HEADER_INBOUND,
  HEADER_LAYOUT,
  HEADER_MAGIC,
  HEADER_OUTBOUND,
  LAYOUT_VERSION,
  MAGIC,
} from '../../../filter/assembly/layout.ts';
import { ruleEnd } from '../../policy/end.ts';
import type { Direction, Policy } from '../../policy/schema.ts';
import type { TextMatch } from '../../policy/string-match.ts';
import { Block } from './block.ts';
import { ruleKey, runKey } from './rule-key.ts';
import { type OrderedRule, writeTable } from './table.ts';

/** A policy in force and when it was applied, in milliseconds since the epoch. */
export interface Applied {
  readonly policy: Policy;
  readonly appliedAt: number;
  /** Rules that are over before their ends, by their indexes. */
  readonly over?: ReadonlySet<number>;
  /** Paths that none of its rules is for, whatever they say. */
  readonly never?: readonly TextMatch[] | undefined;
}

/**
 * Compiles policies into the bytes that a proxy runs (`filter/assembly/layout.ts`). The same entries in any order give the
 * same bytes.
 *
 * @param entries the policies that select the proxy
 * @param now milliseconds since the epoch; rules that ended by then are left out
 */
export function compileRuleset(entries: readonly Applied[], now: number): Uint8Array {
  const rules = inOrder(entries, now);
  const block = new Block();
  const header = block.take(HEADER_BYTES);
  block.u32(header + HEADER_MAGIC, MAGIC);
  block.u32(header + HEADER_LAYOUT, LAYOUT_VERSION);
  const tableOf = (direction: Direction): number =>
    writeTable(
      block,
      rules.filter((rule) => rule.direction === direction),
    );
  block.u32(header + HEADER_INBOUND, tableOf('inbound'));
  block.u32(header + HEADER_OUTBOUND, tableOf('outbound'));
  return block.seal();
}

/** The version of a ruleset, also its ETag: the first 16 hexadecimal digits of its SHA-256. */
export function rulesetVersion(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** The order of decision of two policies: higher priority first, then by name. */
export function byDecision(a: Policy, b: Policy): number {
  return b.spec.priority - a.spec.priority || byName(a, b);
}

/** The order of decision, and within a policy as it lists its rules. */
function inOrder(entries: readonly Applied[], now: number): (OrderedRule & { direction: Direction })[] {
  const sorted = [...entries].sort((a, b) => byDecision(a.policy, b.policy));
  return sorted.flatMap(({ policy, appliedAt, over, never }) => {
    const firstKey = runKey(policy.metadata.name, appliedAt);
    return policy.spec.rules.flatMap((rule, i) => {
      const end = ruleEnd(rule, appliedAt);
      if ((end !== 0 && end <= now) || over?.has(i) === true) return [];
      return [
        {
          rule,
          end,
          appliedAt,
          key: ruleKey(firstKey, i),
          never,
          name: `${policy.metadata.name}/${i}`,
          direction: policy.spec.direction,
          shadow: policy.spec.mode === 'shadow',
        },
      ];
    });
  });
}

function byName(a: Policy, b: Policy): number {
  return a.metadata.name < b.metadata.name ? -1 : Number(a.metadata.name > b.metadata.name);
}
