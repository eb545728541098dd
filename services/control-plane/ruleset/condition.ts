import * as layout from '../../../filter/assembly/layout.ts';
import type { NestedMatch } from '../../policy/match.ts';
import { compileRegex, type Dfa } from '../../policy/regex/compile-regex.ts';
import type { Match } from '../../policy/schema.ts';
import type { TextMatch } from '../../policy/string-match.ts';
import { CLUSTER, peerField, peerLabel } from './properties.ts';
import { requiredPrefixes } from './required-prefix.ts';

/** What of a request is looked at. */
export interface FieldKey {
  readonly kind: number;
  /** A header's, parameter's or cookie's, or a property's path; else empty. */
  readonly name: string;
}

/** One condition, as the layout has it. */
export interface Condition {
  readonly field: FieldKey;
  readonly operation: number;
  /** The text to compare with; of an `OPERATION_REGEX` its key. */
  readonly value: string;
  readonly automaton?: Dfa;
  /** Of `OPERATION_ANY_OF`. */
  readonly groups?: readonly (readonly Condition[])[];
}

const alone = (kind: number): FieldKey => ({ kind, name: '' });
export const PATH_ALONE: FieldKey = alone(layout.KIND_PATH);

/** The conditions of a match, all of which must hold. */
export function conditionsOf(match: Match | NestedMatch | undefined): Condition[] {
  if (match === undefined) return [];
  const named = (kind: number, all: readonly (TextMatch & { name: string })[] = []): Condition[] =>
    all.map((one) => conditionOf({ kind, name: one.name }, one));
  const single = (field: FieldKey, one: TextMatch | undefined): Condition[] => (one === undefined ? [] : [conditionOf(field, one)]);
  const { not, anyOf, port, grpc, source } = match;
  return [
    ...single(PATH_ALONE, match.path),
    ...named(layout.KIND_HEADER, match.headers),
    ...named(layout.KIND_QUERY, match.query),
    ...named(layout.KIND_COOKIE, match.cookies),
    ...single({ kind: layout.KIND_HEADER, name: ':authority' }, match.authority),
    ...single({ kind: layout.KIND_HEADER, name: ':method' }, match.method),
    ...single(alone(layout.KIND_GRPC_SERVICE), grpc?.service),
    ...single(alone(layout.KIND_GRPC_METHOD), grpc?.method),
    ...single(alone(layout.KIND_SOURCE), source?.id),
    ...single(alone(layout.KIND_SOURCE_NAMESPACE), source?.namespace),
    ...single(alone(layout.KIND_SOURCE_ACCOUNT), source?.serviceAccount),
    ...single(peerField('workload'), source?.workload),
    ...single(peerField('service'), source?.service),
    ...single(peerField('revision'), source?.version),
    ...Object.entries(source?.labels ?? {}).map(([name, one]) => conditionOf(peerLabel(name), one)),
    ...single(CLUSTER, match.cluster),
    ...single(alone(layout.KIND_PORT), port === undefined ? undefined : { exact: String(port) }),
    ...(anyOf === undefined ? [] : [anyOfGroups(anyOf)]),
    ...(not === undefined ? [] : [negated(anyOfGroups([not]))]),
  ];
}

/** That the path, without the query, is not this one. */
export function notPath(path: TextMatch): Condition {
  return negated(conditionOf(PATH_ALONE, path));
}

function anyOfGroups(matches: readonly NestedMatch[]): Condition {
  return { field: PATH_ALONE, operation: layout.OPERATION_ANY_OF, value: '', groups: matches.map(conditionsOf) };
}

function negated(condition: Condition): Condition {
  return { ...condition, operation: condition.operation | layout.OPERATION_NOT };
}

function conditionOf(field: FieldKey, match: TextMatch): Condition {
  const ignoreCase = match.ignoreCase === true;
  if (match.present !== undefined) {
    const there = { field, operation: layout.OPERATION_PRESENT, value: '' };
    return match.present ? there : negated(there);
  }
  if (match.regex !== undefined) {
    const automaton = compileRegex(match.regex, { ignoreCase });
    return { field, operation: layout.OPERATION_REGEX, value: `${ignoreCase ? 'i' : '-'}${match.regex}`, automaton };
  }
  const [operation, text] = comparisonOf(match);
  return ignoreCase
    ? { field, operation: operation | layout.OPERATION_IGNORE_CASE, value: lowerAscii(text) }
    : { field, operation, value: text };
}

function comparisonOf({ exact, prefix, suffix, contains = '' }: TextMatch): [operation: number, text: string] {
  if (exact !== undefined) return [layout.OPERATION_EXACT, exact];
  if (prefix !== undefined) return [layout.OPERATION_PREFIX, prefix];
  if (suffix !== undefined) return [layout.OPERATION_SUFFIX, suffix];
  return [layout.OPERATION_CONTAINS, contains];
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Exact texts or prefixes of which every request has one for which a condition holds: what a rule can be listed under. */
export interface Listing {
  readonly field: FieldKey;
  readonly operation: number;
  readonly values: readonly Uint8Array[];
  /** Whether the condition says no more than this, so that it needn't be asked again. */
  readonly complete: boolean;
}

const utf8 = new TextEncoder();

/** @returns undefined for a condition that requires no text at the beginning */
export function listingOf({ field, operation, value, automaton }: Condition): Listing | undefined {
  if (operation === layout.OPERATION_EXACT || operation === layout.OPERATION_PREFIX) {
    return { field, operation, values: [utf8.encode(value)], complete: true };
  }
  if (automaton === undefined || operation !== layout.OPERATION_REGEX) return undefined;
  const values = requiredPrefixes(automaton);
  if (values.length === 0 || values.some(({ length }) => length === 0)) return undefined;
  return { field, operation: layout.OPERATION_PREFIX, values, complete: false };
}

const keysOf = ({ field, operation, values }: Listing): string[] =>
  values.map((value) => `${operation} ${field.kind} ${field.name} ${Buffer.from(value).toString('latin1')}`);

/**
 * Chooses for each rule the condition that it is listed under: the one that fewest rules share, so that a request meets few
 * rules; among equals the first.
 *
 * @param rules the listings of each rule's conditions
 * @returns per rule the index of that condition, or -1 when it has none
 */
export function chooseListed(rules: readonly (readonly (Listing | undefined)[])[]): number[] {
  const shared = new Map<string, number>();
  const keys = rules.map((listings) => listings.map((one) => (one === undefined ? [] : keysOf(one))));
  for (const key of keys.flat(2)) shared.set(key, (shared.get(key) ?? 0) + 1);
  return keys.map((own) => {
    let chosen = -1;
    let fewest = Number.POSITIVE_INFINITY;
    own.forEach((all, i) => {
      const count = all.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...all.map((key) => shared.get(key) ?? 0));
      if (count < fewest) {
        fewest = count;
        chosen = i;
      }
    });
    return chosen;
  });
}
