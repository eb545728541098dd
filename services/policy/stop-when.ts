import { z } from '@hono/zod-openapi';
import { exactlyOne } from './choice.ts';
import { durationText } from './delay.ts';
import { parseDuration } from './duration.ts';
import { LIMITS } from './limits.ts';

/** Conditions that end a policy for good. */

/** How long a query's answer must hold when `for` is missing: one lost answer ends nothing. */
const DEFAULT_FOR = '10s';

/** What goes only with a query. */
const OF_A_QUERY = ['above', 'below', 'for', 'onNoData'] as const;

const stopCondition = exactlyOne(
  ['injected', 'prometheus'],
  'StopCondition',
  z
    .strictObject({
      injected: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .optional()
        .describe(
          'When all proxies together have hit so many requests, whichever rules did. They report once a second, so the fleet hits more by what it hits in about a second.',
        ),
      prometheus: z
        .string()
        .max(LIMITS.queryLength)
        .regex(/\S/, 'is empty: write a PromQL query that gives a vector or a scalar')
        .optional()
        .describe(
          'When what this PromQL query gives is `above` or `below` a number, without a break for the time `for`: an instant vector, of which any sample counts, or a scalar. The control plane asks Prometheus once a second.',
        ),
      above: z.number().optional().describe('Goes with `prometheus`: holds when any sample is larger.'),
      below: z.number().optional().describe('Goes with `prometheus`: holds when any sample is smaller. One of `above` and `below`.'),
      for: durationText(0, LIMITS.stopForMs, '0s and 1h')
        .optional()
        .describe(`Goes with \`prometheus\`: how long it must hold, \`0s\` to \`1h\`. Missing: \`${DEFAULT_FOR}\`.`),
      onNoData: z
        .enum(['stop', 'ignore'])
        .optional()
        .describe(
          'Goes with `prometheus`: `stop` counts a missing answer (no sample, `NaN`, an error, no Prometheus) as one that holds; `ignore` as if nobody had asked. Missing: `stop`.',
        ),
    })
    .superRefine((condition, context) => {
      const { prometheus, above, below } = condition;
      if (prometheus === undefined) {
        for (const field of OF_A_QUERY) {
          if (condition[field] !== undefined) context.addIssue({ code: 'custom', path: [field], message: 'goes only with prometheus' });
        }
        return;
      }
      if (above === undefined && below === undefined)
        context.addIssue({ code: 'custom', message: 'needs one of: above, below, beside prometheus' });
      if (above !== undefined && below !== undefined)
        context.addIssue({ code: 'custom', path: ['below'], message: 'takes one of above and below, not both' });
    }),
);

export const stopWhen = z.array(stopCondition).min(1).max(8);

export type StopCondition = z.output<typeof stopCondition>;

/** A condition that Prometheus is asked for. */
export interface QueryCondition {
  /** Its place in `stopWhen`. */
  readonly index: number;
  readonly query: string;
  readonly limit: { readonly side: 'above' | 'below'; readonly value: number };
  /** How long it must hold, in milliseconds, and as it is written. */
  readonly forMs: number;
  readonly forText: string;
  readonly onNoData: 'stop' | 'ignore';
}

/** After how many requests that the fleet hit a policy ends; undefined when it doesn't end by that. */
export function stopsAfter(conditions: readonly StopCondition[] | undefined): number | undefined {
  const limits = (conditions ?? []).flatMap(({ injected }) => injected ?? []);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** The conditions of a policy that Prometheus is asked for. */
export function queryConditions(conditions: readonly StopCondition[] | undefined): QueryCondition[] {
  return (conditions ?? []).flatMap(({ prometheus: query, above, below, for: text = DEFAULT_FOR, onNoData = 'stop' }, index) => {
    if (query === undefined) return [];
    const limit = above === undefined ? ({ side: 'below', value: below ?? 0 } as const) : ({ side: 'above', value: above } as const);
    return [{ index, query, limit, forMs: parseDuration(text) ?? 0, forText: text, onNoData }];
  });
}
