import type { NestedMatch } from '../../policy/match.ts';
import type { Match } from '../../policy/schema.ts';

/**
 * A match taken apart: each thing that it asks for is a match of its own, which the filter can be asked about alone. Nothing is
 * compared here.
 */

/** One thing that a match asks for. */
export interface Part {
  /** Where it stands, such as `match.headers[0]`. */
  readonly path: string;
  /** The match that asks for this and nothing else. */
  readonly alone: NestedMatch;
  /** The names that lead to it in the match, without numbers: `headers`; `source`, `labels`, `app`. */
  readonly field: readonly string[];
  /** Of `anyOf`: the parts of each alternative. */
  readonly alternatives?: readonly (readonly Part[])[];
}

/** What says when a match counts, not which requests it is for. */
const TURNS = ['window', 'after', 'every', 'sequence', 'limit', 'probes'] as const;

/** The match without what says when it counts. */
export function withoutTurns(match: Match | undefined): NestedMatch {
  const asks: Record<string, unknown> = { ...match };
  for (const name of TURNS) delete asks[name];
  return asks;
}

/** The parts of a match, all of which must hold. @param path where the match stands */
export function partsOf(match: NestedMatch, path: string): Part[] {
  return Object.entries(withoutTurns(match)).flatMap(([name, value]): Part[] => {
    const at = `${path}.${name}`;
    if (value === undefined) return [];
    if (name === 'anyOf') {
      const alternatives = (value as NestedMatch[]).map((one, i) => partsOf(one, `${at}[${i}]`));
      return [{ path: at, alone: { [name]: value }, field: [name], alternatives }];
    }
    if (name === 'not') return [{ path: at, alone: { [name]: value }, field: [name] }];
    if (Array.isArray(value)) return value.map((one, i) => ({ path: `${at}[${i}]`, alone: { [name]: [one] }, field: [name] }));
    return NESTING.has(name) ? inside([name], value as object, at) : [{ path: at, alone: { [name]: value }, field: [name] }];
  });
}

/** Fields whose own fields are asked for one by one. */
const NESTING = new Set(['grpc', 'source', 'labels']);

function inside(field: readonly string[], value: object, path: string): Part[] {
  return Object.entries(value).flatMap(([name, one]): Part[] => {
    if (one === undefined) return [];
    const at = /^[A-Za-z_]\w*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
    const inner = [...field, name];
    if (field.length === 1 && NESTING.has(name)) return inside(inner, one as object, at);
    return [{ path: at, alone: inner.reduceRight<unknown>((asked, key) => ({ [key]: asked }), one) as NestedMatch, field: inner }];
  });
}

/** The part and everything below it. */
export function withAll(part: Part): Part[] {
  return [part, ...(part.alternatives ?? []).flat().flatMap(withAll)];
}
