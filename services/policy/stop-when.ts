import { z } from '@hono/zod-openapi';

/** Conditions that end a policy for good. */

const stopCondition = z
  .strictObject({
    injected: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .describe(
        'When all proxies together have hit so many requests, whichever rules did. They report once a second, so the fleet hits more by what it hits in about a second.',
      ),
  })
  .openapi('StopCondition');

export const stopWhen = z.array(stopCondition).min(1).max(8);

/** After how many requests that the fleet hit a policy ends; undefined when it doesn't end by that. */
export function stopsAfter(conditions: readonly { readonly injected: number }[] | undefined): number | undefined {
  return conditions === undefined ? undefined : Math.min(...conditions.map(({ injected }) => injected));
}
