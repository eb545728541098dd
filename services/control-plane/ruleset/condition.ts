import { OPERATION_EXACT, OPERATION_PREFIX } from '../../../filter/assembly/layout.ts';
import type { Match } from '../../policy/schema.ts';

export interface Condition {
  /** `''` is the path alone; else the header's name. */
  readonly field: string;
  readonly operation: number;
  readonly value: string;
}

export const PATH_ALONE = '';

/** The conditions of a match, all of which must hold. */
export function conditionsOf(match: Match | undefined): Condition[] {
  if (match === undefined) return [];
  const conditions: Condition[] = [];
  const add = (field: string, matcher: { exact?: string | undefined; prefix?: string | undefined }): void => {
    if (matcher.exact !== undefined) conditions.push({ field, operation: OPERATION_EXACT, value: matcher.exact });
    if (matcher.prefix !== undefined) conditions.push({ field, operation: OPERATION_PREFIX, value: matcher.prefix });
  };
  if (match.path !== undefined) add(PATH_ALONE, match.path);
  for (const header of match.headers ?? []) add(header.name, header);
  if (match.method !== undefined) add(':method', match.method);
  return conditions;
}

const keyOf = (condition: Condition): string => `${condition.operation} ${condition.field} ${condition.value}`;

/**
 * Chooses for each rule the condition that it is listed under: the one that fewest rules share, so that a request meets few
 * rules; among equals the first.
 *
 * @returns per rule the index of that condition, or -1 when it has none
 */
export function chooseListed(rules: readonly (readonly Condition[])[]): number[] {
  const shared = new Map<string, number>();
  for (const conditions of rules) {
    for (const condition of conditions) shared.set(keyOf(condition), (shared.get(keyOf(condition)) ?? 0) + 1);
  }
  return rules.map((conditions) => {
    let chosen = -1;
    let fewest = Number.POSITIVE_INFINITY;
    conditions.forEach((condition, i) => {
      const count = shared.get(keyOf(condition)) ?? 0;
      if (count < fewest) {
        fewest = count;
        chosen = i;
      }
    });
    return chosen;
  });
}
