import { z } from '@hono/zod-openapi';
import { parseDuration } from './duration.ts';
import { atMostEntries } from './entries.ts';
import { LIMITS } from './limits.ts';
import { percentage } from './percentage.ts';
import { nameMatch } from './string-match.ts';

/**
 * The guardrails: what no policy may go beyond, whoever applies it. Who runs the control plane sets them, in a file or in the stack's configuration.
 *
 * `.describe()` texts are the reference that users read; keep each a full sentence.
 */

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LONGEST_MS = LIMITS.durationSeconds * 1000;

/** Days of the week, in order. */
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const timeOfDay = z
  .string()
  // Of a time that is none, nothing can be said of its order either.
  .regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, { error: 'is no time of day: write it like `09:00`, in quotation marks', abort: true })
  .meta({ format: 'time of day' });

const zone = z.string().refine(isZone, 'is no time zone: write it like `Europe/Berlin` or `UTC`').meta({ format: 'time zone' });

export const openHours = z
  .strictObject({
    days: z.array(z.enum(DAYS)).min(1).default(['mon', 'tue', 'wed', 'thu', 'fri']).describe('On which days of the week.'),
    from: timeOfDay.default('00:00').describe('From then on.'),
    to: timeOfDay.default('24:00').describe('Until then, on the same day.'),
    zone: zone.default('UTC').describe('By the clocks of which time zone.'),
  })
  .refine(({ from, to }) => from < to, { path: ['to'], message: 'is not after from; write what crosses midnight as two entries' })
  .openapi('OpenHours');

const limits = {
  hours: z
    .array(openHours)
    .min(1)
    .max(LIMITS.entries)
    .describe(
      'When faults may be done: a rule must begin and end within them, so one without an end is refused. They may adjoin each other.',
    ),
  maxPercentage: percentage.describe('The largest `percentage` that a rule may have, ramps included.'),
  maxDuration: z
    .string()
    .refine((text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= 1000 && ms <= LONGEST_MS;
    }, 'must be a duration from 1s to 720h, such as 30m')
    .meta({ format: 'duration', limits: '1s to 720h' })
    .describe('The longest that a rule may be in force; one without an end is refused.'),
  requireEnd: z.boolean().describe('Whether every rule must have an end: `duration_seconds`, `window.end`, or the `lease` of its policy.'),
  forbiddenPaths: z
    .array(nameMatch)
    .min(1)
    .max(LIMITS.entries)
    .describe(
      'Paths that are never faulted, whatever a rule says: a text is the exact path, or a matcher as in a policy. A rule that asks for nothing else is refused.',
    ),
  maxProxies: z
    .int()
    .min(1)
    .max(10_000)
    .describe(
      'The most connected proxies that a policy may select when it is applied. It is for those alone: proxies that come later are not hit by it.',
    ),
  oneProxyOfEachService: z
    .boolean()
    .describe(
      'Whether a policy is for one connected proxy of each service that it selects only: of each the first by name when it is applied. Proxies that come later are not hit by it.',
    ),
};

const orLifted = <S extends z.ZodType>(schema: S) =>
  schema
    .nullable()
    .optional()
    .describe(schema.description ?? '');

const own = z
  .strictObject({
    hours: orLifted(limits.hours),
    maxPercentage: orLifted(limits.maxPercentage),
    maxDuration: orLifted(limits.maxDuration),
    requireEnd: orLifted(limits.requireEnd),
    forbiddenPaths: orLifted(limits.forbiddenPaths),
    maxProxies: orLifted(limits.maxProxies),
    oneProxyOfEachService: orLifted(limits.oneProxyOfEachService),
  })
  .openapi('NamespaceGuardrails');

export const guardrails = z
  .strictObject({
    hours: limits.hours.optional(),
    maxPercentage: limits.maxPercentage.optional(),
    maxDuration: limits.maxDuration.optional(),
    requireEnd: limits.requireEnd.default(true),
    forbiddenPaths: limits.forbiddenPaths.optional(),
    maxProxies: limits.maxProxies.optional(),
    oneProxyOfEachService: limits.oneProxyOfEachService.optional(),
    maxInjectionsPerSecond: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        'The most requests a second that are faulted in the whole fleet, whatever policies say; what is beyond passes. Each proxy that has faults gets an equal share.',
      ),
    namespaces: atMostEntries(1000, z.record(z.string().regex(DNS_LABEL, 'is no namespace').max(63), own))
      .optional()
      .describe(
        'The only namespaces in which faults may be done: a selector must name one of them. Each may have guardrails of its own, which take the place of the general ones; `null` lifts one. Missing: every namespace but those of the system.',
      ),
  })
  .openapi('Guardrails');

/** Guardrails of all namespaces together: none has one of its own. */
export const OF_ALL = ['maxInjectionsPerSecond'] as const;

/** The guardrails as they are kept: parsed, with defaults filled in. */
export type Guardrails = z.output<typeof guardrails>;
export type OpenHours = z.output<typeof openHours>;

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
