import { HEADER_FAULT } from '../../filter/assembly/protocol.ts';
import type { Header, Kind } from './case.ts';

/** What was done to one request, by the filter's own account. */
export interface Done {
  /** The connection or stream was broken off. */
  readonly reset: boolean;
  /** The answer is the filter's. */
  readonly aborted: boolean;
  readonly delayed: boolean;
  readonly responseChanged: boolean;
  readonly requestChanged: boolean;
}

/** The words for what became of a request, what the caller sees of it first. */
export type Kinds = readonly [Kind, ...Kind[]];

export function kindsOf({ reset, aborted, delayed, responseChanged, requestChanged }: Done): Kinds {
  const [first, ...others]: Kind[] = [
    ...(reset ? (['reset'] as const) : []),
    ...(aborted ? ([delayed ? 'delay+abort' : 'abort'] as const) : []),
    ...(responseChanged ? (['response'] as const) : []),
    ...(delayed && !aborted && !reset ? (['delay'] as const) : []),
    ...(requestChanged ? (['request'] as const) : []),
  ];
  return first === undefined ? ['none'] : [first, ...others];
}

/** The rule that an answer of the filter's names, `<policy>/<index>`. */
export function ruleNamed(headers: readonly Header[]): string | undefined {
  return headers.findLast(([name]) => name.toLowerCase() === HEADER_FAULT)?.[1];
}
