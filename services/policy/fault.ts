import { z } from '@hono/zod-openapi';
import { abort } from './abort.ts';
import { requestChange, responseChange } from './change.ts';
import { atLeastOne, exactlyOne } from './choice.ts';
import { delay, rampOver } from './delay.ts';
import { LIMITS } from './limits.ts';
import { cookieName, headerName } from './match.ts';
import { percentage } from './percentage.ts';

/** What is done to a request that a rule is for. */

export const sticky = exactlyOne(
  ['header', 'cookie'],
  'Sticky',
  z.strictObject({
    header: headerName
      .optional()
      .describe('The header whose value decides, such as `x-user`. Sent several times, its values are joined with `,`.'),
    cookie: cookieName.optional().describe('The cookie whose value decides.'),
    seed: z.int().min(0).max(0xffffffff).default(0).describe('Rules with one seed hit the same values; another seed draws anew.'),
  }),
);

const ramp = z
  .strictObject({
    ramp: z
      .strictObject({
        from: percentage.describe('At the apply.'),
        to: percentage.describe('At the end of the way, and from then on.'),
        over: rampOver,
      })
      .describe('Changes with time, in a straight line.'),
  })
  .openapi('PercentageRamp');

const status = z.int().min(200).max(599);

const ifStatus = z.union([
  status,
  z
    .strictObject({ from: status.describe('The lowest.'), to: status.describe('The highest.') })
    .refine(({ from, to }) => from <= to, { path: ['to'], message: 'is below from' })
    .openapi('StatusRange'),
]);

/** The faults themselves. */
const kinds = {
  delay: delay.optional().describe('Holds the request, then lets it go on. Together with `abort`: holds it, then aborts it.'),
  abort: abort.optional().describe('Answers the request instead of the service, or resets it.'),
  request: requestChange.optional().describe('Changes the request before the service gets it.'),
  response: responseChange.optional().describe("Changes the service's answer before the caller gets it."),
};

export const fault = atLeastOne(
  Object.keys(kinds),
  'Fault',
  z
    .strictObject({
      percentage: z
        .union([percentage, ramp])
        .default(100)
        .describe(
          'The share of the matching requests that are hit, 0 to 100, to 0.0001, or `{ramp: {from, to, over}}`. Each request draws for itself.',
        ),
      sticky: sticky
        .optional()
        .describe(
          'Draws for a value of the request in place of the request itself: the same value is always hit or never, on every proxy and after restarts, and a higher percentage only adds values. A request without it is not hit.',
        ),
      start_delay_ms: z
        .int()
        .min(0)
        .max(LIMITS.delayMs)
        .default(0)
        .describe('Waits this many milliseconds before the fault itself begins; a delay comes on top.'),
      duration_seconds: z
        .int()
        .min(0)
        .max(LIMITS.durationSeconds)
        .default(0)
        .describe(
          'Ends the rule this many seconds after the apply, at the same moment on every proxy, whatever was restarted. 0 means no end.',
        ),
      ifStatus: ifStatus
        .optional()
        .describe(
          'The HTTP status that the answer must have, or a range, `{from: 200, to: 299}`: to another answer nothing is done. It goes with `response` and with `at: response`.',
        ),
      ...kinds,
    })
    .superRefine(({ delay: held, abort: answered, request, response, ifStatus: wanted }, context) => {
      const refuse = (path: PropertyKey[], message: string): void => context.addIssue({ code: 'custom', path, message });
      if (wanted !== undefined && response === undefined && held?.at !== 'response' && answered?.at !== 'response') {
        refuse(['ifStatus'], 'goes with what is done to an answer: response, or at: response');
      }
      if (answered === undefined) return;
      if (response !== undefined) refuse(['response'], 'can not go with abort, which gives another answer');
      if (answered.at === 'response') return;
      if (request !== undefined) refuse(['request'], 'can not go with abort at: request: the service gets no request');
      if (held?.at === 'response') refuse(['delay', 'at'], 'can not be response with abort at: request: the service gives no answer');
    }),
);

export type Fault = z.output<typeof fault>;
