import type { InferResponseType } from 'hono/client';
import type { Client } from './client.ts';

type PolicyCounts = InferResponseType<Client['v1']['policies'][':name']['counts']['$get'], 200>;
type Tally = PolicyCounts['total'];

/** What came of a policy that is over, to be put behind its state. */
export function verdictInWords(verdict: PolicyCounts['verdict'] | 'unknown'): string {
  switch (verdict) {
    case 'inconclusive':
      return ': INCONCLUSIVE, it hit no request';
    case 'settling':
      return '; the last counts may still come';
    case 'unknown':
      return '; what it did is not known yet, or no more';
    case 'active':
    case 'effective':
      return '';
  }
}

/** `60 requests so far, 6.0 a second`. */
export function hitsInWords({ injected, skipped: { shadow } }: Tally, perSecond: number): string {
  const shadowed = shadow === 0 ? '' : `, and ${requests(shadow)} in shadow`;
  return `${requests(injected)} so far${shadowed}${perSecond === 0 ? '' : `, ${perSecond.toFixed(1)} a second`}`;
}

/** What was counted of a rule, in lines. */
export function ruleCountsInWords({
  counts: { matched, injected, kinds, skipped },
  limit,
  limitReached,
}: PolicyCounts['rules'][number]): string[] {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const [done, left] = [list(kinds), list(skipped)];
  return [
    `matched ${matched}, injected ${injected}${done === '' ? '' : ` (${done})`}${left === '' ? '' : `; let be: ${left}`}`,
    ...(limitReached ? [`over: the fleet's limit of ${limit} is reached`] : []),
  ];
}

interface RolloutProxy {
  readonly name: string;
  readonly acknowledged: boolean;
  readonly version: string;
  readonly since: string | null;
  readonly reason: string | null;
}

/** `runs it  frontend-1  version 0123… since 2026-…; 40 requests so far`. */
export function proxyInWords(
  { name, acknowledged, version, since, reason }: RolloutProxy,
  counted: PolicyCounts['proxies'][number] | undefined,
  over: boolean,
): string {
  if (over)
    return `${acknowledged ? 'has ended' : 'not yet  '} ${name}${counted === undefined ? '' : `  ${hitsInWords(counted.counts, 0)}`}`;
  const runs = version === '' ? '' : `  version ${version}${since === null ? '' : ` since ${since}`}`;
  const hits = counted === undefined ? '' : `; ${hitsInWords(counted.counts, counted.perSecond)}`;
  return `${acknowledged ? 'runs it ' : 'not yet '} ${name}${runs}${hits}${reason === null ? '' : `  (${reason})`}`;
}

function requests(count: number): string {
  return `${count} ${count === 1 ? 'request' : 'requests'}`;
}
