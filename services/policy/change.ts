import { z } from '@hono/zod-openapi';
import { BODYLESS } from './abort.ts';
import { bodyBase64, bodyText, refuseTwoBodies } from './body.ts';
import { atLeastOne } from './choice.ts';
import { durationText } from './delay.ts';
import { refusePseudoValues, refuseReserved, SETTABLE_PSEUDO_HEADERS, writtenHeaders, writtenName } from './header-text.ts';
import { LIMITS } from './limits.ts';
import { percentage } from './percentage.ts';
import { pathChange, queryChange } from './rewrite.ts';

/** Changing a request on its way to the service, or the service's answer on its way back. */

const RATE = /^([0-9]+(\.[0-9]+)?)(B|KiB|MiB|kB|MB)\/s$/;
const RATE_UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1000, KiB: 1024, MB: 1_000_000, MiB: 1_048_576 };

/** Bytes a second of a text like `10KiB/s`, or undefined when it is none. */
export function parseRate(text: string): number | undefined {
  const found = RATE.exec(text);
  return found === null ? undefined : Math.round(Number(found[1]) * (RATE_UNITS[found[3] ?? ''] ?? 0));
}

const rate = z
  .string()
  .regex(RATE, 'is no rate: write a number and B/s, KiB/s, MiB/s, kB/s or MB/s, like `10KiB/s`')
  .refine((text) => {
    const bytes = parseRate(text);
    return bytes === undefined || (bytes >= 1 && bytes <= LIMITS.throttleBytes);
  }, 'must be between 1B/s and 1024MiB/s');

/** @param pseudo pseudo-headers that can be set too */
const headers = (name: string, pseudo: readonly string[] = []) =>
  atLeastOne(
    ['set', 'add', 'remove'],
    name,
    z
      .strictObject({
        set: writtenHeaders(pseudo).optional().describe('Takes the place of what is there under that name, or is added.'),
        add: writtenHeaders().optional().describe('Is added to what is there.'),
        remove: z.array(writtenName()).max(LIMITS.entries).optional().describe('Is taken away.'),
      })
      .superRefine((value, context) => {
        for (const field of ['set', 'add'] as const) refuseReserved(value[field] ?? {}, [field], context);
        refuseReserved(value.remove ?? [], ['remove'], context);
        refusePseudoValues(value.set ?? {}, ['set'], context);
      }),
  );

const way = {
  throttle: rate
    .optional()
    .describe('Lets the body through no faster than this: `10KiB/s`. Each piece waits until its last byte would have come.'),
  latency: durationText(1, LIMITS.delayMs, '1ms and 1h').optional().describe('Holds each piece of the body this long.'),
  jitter: durationText(1, LIMITS.delayMs, '1ms and 1h')
    .optional()
    .describe('Makes the `latency` of each piece up to this much shorter or longer, never less than nothing.'),
};

interface Way {
  readonly latency?: string | undefined;
  readonly jitter?: string | undefined;
}

function refuseJitterOfNothing({ latency, jitter }: Way, context: z.RefinementCtx): void {
  if (jitter === undefined || latency !== undefined) return;
  context.addIssue({ code: 'custom', path: ['jitter'], message: 'goes with latency' });
}

const body = {
  body: bodyText
    .optional()
    .describe('Takes the place of the body, at most 64 KiB; the empty text drops it. A message without a body gets none.'),
  bodyBase64: bodyBase64.optional().describe('The same as bytes, in base64.'),
};

const corrupt = z
  .strictObject({
    percentage: percentage.default(1).describe('The share of the bytes in which one bit is turned over.'),
    seed: z.int().min(0).max(0xffffffff).default(0).describe('The same seed corrupts the same bytes.'),
  })
  .optional()
  .describe('Damages the body. Its length stays.');

interface BodyChanges {
  readonly body?: string | undefined;
  readonly bodyBase64?: string | undefined;
  readonly truncate?: object | undefined;
  readonly corrupt?: object | undefined;
}

/** Adds an issue for what can be written into the new body itself. @returns the field that gives one */
function refuseChangesOfNewBody(value: BodyChanges, context: z.RefinementCtx): 'body' | 'bodyBase64' | undefined {
  refuseTwoBodies(value, context);
  const replaced = value.body !== undefined ? 'body' : value.bodyBase64 !== undefined ? 'bodyBase64' : undefined;
  const refuse = (field: string, message: string): void => context.addIssue({ code: 'custom', path: [field], message });
  if (replaced !== undefined && value.truncate !== undefined) refuse('truncate', `can not go with ${replaced}: give a shorter one`);
  if (replaced !== undefined && value.corrupt !== undefined) refuse('corrupt', `can not go with ${replaced}: give a damaged one`);
  return replaced;
}

const responseFields = {
  status: z
    .int()
    .min(200)
    .max(599)
    .optional()
    .describe("The HTTP status in place of the service's. An answer that opens a tunnel (101) keeps its own."),
  headers: headers('ResponseHeaders').optional().describe('Headers of the answer.'),
  ...body,
  truncate: z
    .strictObject({
      bytes: z.int().min(0).max(0xffffffff).describe('How many bytes of the body go through.'),
      end: z
        .enum(['reset', 'clean'])
        .default('reset')
        .describe('`reset` breaks the message off; `clean` ends it as if it were no longer, with the right `content-length`.'),
    })
    .optional()
    .describe('Cuts the body short.'),
  corrupt,
  ...way,
  trailers: writtenHeaders()
    .optional()
    .describe('Trailers to set, such as `grpc-status` after a good stream. An answer without trailers gets none.'),
};

export const responseChange = atLeastOne(
  Object.keys(responseFields),
  'ResponseChange',
  z.strictObject(responseFields).superRefine((value, context) => {
    refuseJitterOfNothing(value, context);
    const replaced = refuseChangesOfNewBody(value, context);
    refuseReserved(value.trailers ?? {}, ['trailers'], context);
    if (!BODYLESS.has(value.status ?? 0)) return;
    for (const field of [replaced, 'truncate', 'corrupt'] as const) {
      if (field === undefined || value[field] === undefined) continue;
      context.addIssue({ code: 'custom', path: [field], message: `can not go with ${value.status}, which has no body` });
    }
  }),
);

const requestFields = {
  headers: headers('RequestHeaders', SETTABLE_PSEUDO_HEADERS)
    .optional()
    .describe('Headers of the request. `:path`, `:method` and `:authority` can be set; HEAD and CONNECT stay what they are.'),
  path: pathChange
    .optional()
    .describe('Takes the place of the path alone, without the query, which stays; or `{prefix: /v1, to: /v2}`: of its beginning.'),
  query: queryChange
    .optional()
    .describe(
      'Parameters of the query, by their names and values as they are without percent-encoding. The rest of the path stays byte for byte.',
    ),
  ...body,
  truncate: z
    .strictObject({ bytes: z.int().min(0).max(0xffffffff).describe('How many bytes of the body go through.') })
    .optional()
    .describe('Cuts the body short, as if it were no longer, with the right `content-length`.'),
  corrupt,
  ...way,
};

export const requestChange = atLeastOne(
  Object.keys(requestFields),
  'RequestChange',
  z.strictObject(requestFields).superRefine((value, context) => {
    refuseJitterOfNothing(value, context);
    refuseChangesOfNewBody(value, context);
    for (const field of ['path', 'query'] as const) {
      if (value[field] === undefined || value.headers?.set?.[':path'] === undefined) continue;
      context.addIssue({ code: 'custom', path: [field], message: 'can not go with headers.set :path, which is the path with the query' });
    }
  }),
);

export type ResponseChange = z.output<typeof responseChange>;
export type RequestChange = z.output<typeof requestChange>;
