import { z } from '@hono/zod-openapi';
import { atLeastOne } from './choice.ts';
import { atMostEntries } from './entries.ts';
import { LIMITS } from './limits.ts';

/** Changing where a request goes to. */

const parameterName = z.string().min(1).max(256);
const parameterValue = z
  .string()
  .refine((text) => Buffer.byteLength(text, 'utf8') <= LIMITS.parameterBytes, `is longer than ${LIMITS.parameterBytes} bytes`);
const parameters = () => atMostEntries(LIMITS.entries, z.record(parameterName, parameterValue));

export const queryChange = atLeastOne(
  ['set', 'add', 'remove'],
  'QueryChange',
  z.strictObject({
    set: parameters()
      .optional()
      .describe('Takes the place of the first parameter of that name, and the others of that name go; or is added at the end.'),
    add: parameters().optional().describe('Is added at the end.'),
    remove: z.array(parameterName).max(LIMITS.entries).optional().describe('Every parameter of that name is taken away.'),
  }),
);

const SENT = /^\/[!"$->@-~]*$/;

const writtenPath = z
  .string()
  .max(LIMITS.matchBytes)
  .regex(SENT, 'is no path as it is sent: it begins with /, and has no ?, #, space or letter outside of ASCII (write é as %C3%A9)');

/** A text is the whole path. */
export const pathChange = z.union([
  writtenPath,
  z
    .strictObject({
      prefix: writtenPath.describe('What the path begins with, byte for byte; any other path stays.'),
      to: writtenPath.describe('Takes the place of that. What stands behind it stays.'),
    })
    .openapi('PathChange'),
]);

export type PathChange = z.output<typeof pathChange>;
export type QueryChange = z.output<typeof queryChange>;
