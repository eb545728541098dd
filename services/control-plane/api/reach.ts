import { z } from '@hono/zod-openapi';
import { nearMisses } from '../../policy/near-miss.ts';
import type { Policy } from '../../policy/schema.ts';
import { selects } from '../../policy/selector.ts';
import type { ProxyResource } from './proxies.ts';

export const traffic = z
  .object({
    requestsPerSecond: z.number().describe("Requests that lately came by at these proxies in the policy's direction."),
    mostHitPerSecond: z
      .number()
      .describe(
        'How many of them would be hit at most: if all matched the rule with the largest percentage, and no more than guardrails allow.',
      ),
    untold: z.int().describe('How many of the proxies have not told yet how many requests come by. They are missing in the numbers.'),
  })
  .openapi('Traffic');

export type Traffic = z.output<typeof traffic>;

/** What a policy would reach. */
export interface Reach {
  /** Names of the connected proxies, in order. */
  readonly proxies: string[];
  /** What a selector may have meant that names none of them. */
  readonly misses: string[];
  readonly traffic: Traffic;
}

/**
 * @param selectable the proxies that can be selected
 * @param chosen the only ones that it is to be for; undefined = all that it selects
 * @param budget how many requests a second the fleet may hit; undefined = any
 */
export function reachOf(
  policy: Policy,
  selectable: readonly ProxyResource[],
  chosen: readonly string[] | undefined,
  budget: number | undefined,
): Reach {
  const { selector } = policy.spec;
  const reached = selectable.filter((proxy) => (chosen === undefined ? selects(selector, proxy) : chosen.includes(proxy.name)));
  const misses = chosen === undefined ? nearMisses(selector, selectable) : [];
  return {
    proxies: reached.map(({ name }) => name),
    misses: misses.map((miss) => `It selects no proxy: ${miss}${miss.endsWith('?') ? '' : '.'}`),
    traffic: trafficAt(reached, policy, budget),
  };
}

function trafficAt(proxies: readonly ProxyResource[], { spec }: Policy, budget = Number.POSITIVE_INFINITY): Traffic {
  const told = proxies.flatMap(({ requestsPerSecond }) => requestsPerSecond?.[spec.direction] ?? []);
  const requests = told.reduce((sum, perSecond) => sum + perSecond, 0);
  const largest = spec.mode === 'shadow' ? 0 : Math.max(...spec.rules.map(({ fault }) => largestPercentage(fault.percentage)));
  return {
    requestsPerSecond: rounded(requests),
    mostHitPerSecond: rounded(Math.min((requests * largest) / 100, budget)),
    untold: proxies.length - told.length,
  };
}

function largestPercentage(percentage: Policy['spec']['rules'][number]['fault']['percentage']): number {
  return typeof percentage === 'number' ? percentage : Math.max(percentage.ramp.from, percentage.ramp.to);
}

/** To a hundredth: more would look as if it were known. */
function rounded(perSecond: number): number {
  return Math.round(perSecond * 100) / 100;
}
