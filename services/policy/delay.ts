import { z } from '@hono/zod-openapi';
import { exactlyOne } from './choice.ts';
import { DURATION_PATTERN, parseDuration } from './duration.ts';
import { withoutPrototype } from './entries.ts';
import { LIMITS } from './limits.ts';
import { headerName } from './match.ts';

/** How long a request or its answer is held. */

/** A duration in words. @param least milliseconds */
export function durationText(least: number, most: number, range: string) {
  return z
    .string()
    .regex(new RegExp(DURATION_PATTERN), 'is no duration: write a number and one unit, like `350ms`, `2s`, `1.5m` or `1h`')
    .refine((text) => {
      const ms = parseDuration(text);
      return ms === undefined || (ms >= least && ms <= most);
    }, `must be between ${range}`);
}

const held = durationText(1, LIMITS.delayMs, '1ms and 1h');
const heldOrNot = durationText(0, LIMITS.delayMs, '0ms and 1h');

/** How long a ramp takes. */
export const rampOver = durationText(1000, LIMITS.rampMs, '1s and 168h').describe('How long the way takes, from the apply on.');

const ms = (text: string): number => parseDuration(text) ?? 0;

const uniform = z
  .strictObject({ min: heldOrNot.describe('The shortest.'), max: held.describe('The longest.') })
  .superRefine(({ min, max }, context) => {
    if (ms(min) > ms(max)) context.addIssue({ code: 'custom', path: ['max'], message: `is shorter than min (${min})` });
  })
  .openapi('UniformDelay');

const normal = z
  .strictObject({ mean: held.describe('The middle.'), stddev: heldOrNot.describe('The standard deviation.') })
  .openapi('NormalDelay');

const PERCENTILE = /^p(100|[0-9]{1,2}(\.[0-9]{1,3})?)$/;

const percentiles = withoutPrototype(
  z.record(z.string().regex(PERCENTILE, 'is no percentile: write p50, p99, p99.9'), heldOrNot).superRefine((given, context) => {
    const points = percentilePoints(given);
    if (points.length === 0) context.addIssue({ code: 'custom', message: 'needs at least one percentile, such as p50' });
    if (points.length > LIMITS.entries) context.addIssue({ code: 'custom', message: `must have at most ${LIMITS.entries} entries` });
    points.forEach(({ name, share, ms: own }, i) => {
      const before = points[i - 1];
      if (before?.share === share) context.addIssue({ code: 'custom', path: [name], message: `is the same percentile as ${before.name}` });
      else if (before !== undefined && own < before.ms) {
        context.addIssue({ code: 'custom', path: [name], message: `is shorter than ${before.name} (${given[before.name]})` });
      }
    });
  }),
);

/** Percentiles in rising order: each with its share, 0 to 1, and its delay in milliseconds. */
export function percentilePoints(given: Readonly<Record<string, string>>): { name: string; share: number; ms: number }[] {
  return Object.entries(given)
    .map(([name, text]) => ({ name, share: Number(name.slice(1)) / 100, ms: ms(text) }))
    .sort((a, b) => a.share - b.share);
}

const ramp = z
  .strictObject({
    from: heldOrNot.describe('At the apply.'),
    to: heldOrNot.describe('At the end of the way, and from then on.'),
    over: rampOver,
  })
  .openapi('DelayRamp');

const header = z
  .strictObject({
    name: headerName.describe("The header's name, in any case. Sent several times, the first counts."),
    max: held.describe('No request is held longer, whatever it asks for.'),
  })
  .openapi('HeaderDelay');

const DISTRIBUTIONS = ['fixed_delay', 'fixed_delay_ms', 'uniform', 'normal', 'percentiles', 'ramp', 'header'];

export const delay = exactlyOne(
  DISTRIBUTIONS,
  'Delay',
  z
    .strictObject({
      fixed_delay: held.optional().describe('How long to hold the request: `2s`, `350ms`, `1.5m`, at most `1h`.'),
      fixed_delay_ms: z.int().min(1).max(LIMITS.delayMs).optional().describe('The same, as a whole number of milliseconds.'),
      uniform: uniform.optional().describe('Drawn for each request: every length between `min` and `max` is equally likely.'),
      normal: normal
        .optional()
        .describe(
          'Drawn for each request from a normal distribution. What would be less than nothing is nothing, and nothing is further than four `stddev` from `mean`.',
        ),
      percentiles: percentiles
        .optional()
        .describe(
          'Drawn for each request by percentiles: `{p50: 20ms, p90: 100ms, p99: 2s}`. Between two of them all lengths are equally likely; below the first it begins at nothing unless `p0` is given, and none is longer than the last.',
        ),
      ramp: ramp.optional().describe('Changes with time, in a straight line.'),
      header: header
        .optional()
        .describe(
          'What the request asks for: the number at the beginning of its header, in milliseconds. A request without the header, or without a number in it, asks for nothing.',
        ),
      jitter: held.optional().describe('Makes each delay up to this much shorter or longer, never less than nothing.'),
      at: z
        .enum(['request', 'response'])
        .optional()
        .describe(
          "`request` (the default) holds the request before the service gets it; `response` holds the service's answer before the caller gets it.",
        ),
    })
    .superRefine(({ header: asked, at }, context) => {
      if (asked !== undefined && at === 'response') {
        context.addIssue({ code: 'custom', path: ['at'], message: 'can not be response with header: by then only the answer is known' });
      }
    }),
);

export type Delay = z.output<typeof delay>;
