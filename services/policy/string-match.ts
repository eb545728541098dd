import { z } from '@hono/zod-openapi';
import { exactlyOne } from './choice.ts';
import { LIMITS } from './limits.ts';
import { compileRegex, RegexProblem } from './regex/compile-regex.ts';
import { isOverspent } from './regex/work.ts';

/** Comparing one text of a request: the parts of every matcher. */

const utf8Length = (text: string): number => Buffer.byteLength(text, 'utf8');

const text = (bytes: number) => z.string().refine((value) => utf8Length(value) <= bytes, `is longer than ${bytes} bytes`);
const neverEmpty = (bytes: number) => text(bytes).min(1, 'is empty, which every value has in it');

/** Says what is wrong with a matcher's regular expression; the way it is compiled depends on `ignoreCase` beside it. */
function checkRegex(value: { regex?: string | undefined; ignoreCase?: boolean | undefined }, context: z.RefinementCtx): void {
  // One that is too long is refused already: reading a megabyte of it would take seconds, and hundreds of megabytes.
  if (value.regex === undefined || value.regex.length > LIMITS.regexLength) return;
  if (isOverspent()) {
    const message = `is not compiled: the regular expressions in front of it need more than all of one document may (${LIMITS.regexWork} steps); put some rules into a policy of their own, or make the expressions smaller`;
    context.addIssue({ code: 'custom', path: ['regex'], message });
    return;
  }
  try {
    compileRegex(value.regex, { ignoreCase: value.ignoreCase === true });
  } catch (error) {
    if (!(error instanceof RegexProblem)) throw error;
    const where = error.position === undefined ? '' : ` (at character ${error.position + 1})`;
    context.addIssue({ code: 'custom', path: ['regex'], message: `${error.message}${where}` });
  }
}

const operations = {
  exact: text(LIMITS.matchBytes).optional().describe('Equals this text, byte for byte.'),
  prefix: neverEmpty(LIMITS.matchBytes).optional().describe('Begins with this text.'),
  suffix: neverEmpty(LIMITS.matchBytes).optional().describe('Ends with this text.'),
  contains: neverEmpty(LIMITS.containsBytes).optional().describe('Has this text anywhere.'),
  regex: z
    .string()
    .min(1, 'is empty')
    .max(LIMITS.regexLength)
    .optional()
    .describe('The whole text matches this regular expression (RE2 syntax; a part matches with `.*` around it).'),
};

const ignoreCase = z
  .boolean()
  .optional()
  .describe("`true` takes capitals and small letters for the same: ASCII's, and with `regex` all of Unicode's, as `(?i)` does.");

const present = z.boolean().optional().describe('`true`: it is there, with any value; `false`: it is not there.');

const KINDS = Object.keys(operations);

/** A text that a request always has. */
export const stringMatch = exactlyOne(
  KINDS,
  'StringMatch',
  z
    .strictObject({
      ...operations,
      exact: operations.exact
        .unwrap()
        .min(1, 'is empty, which no request would ever equal')
        .optional()
        .describe('Equals this text, byte for byte.'),
      ignoreCase,
    })
    .superRefine(checkRegex),
);

/** The same where mostly a whole name is meant: a text alone stands for `exact`. */
export const nameMatch = z.union([
  text(LIMITS.matchBytes)
    .min(1, 'is empty, which no request would ever equal')
    .transform((exact): z.output<typeof stringMatch> => ({ exact })),
  stringMatch,
]);

const optional = { ...operations, present, ignoreCase };

interface OptionalValue {
  readonly regex?: string | undefined;
  readonly present?: boolean | undefined;
  readonly ignoreCase?: boolean | undefined;
}

function checkOptional(value: OptionalValue, context: z.RefinementCtx): void {
  checkRegex(value, context);
  if (value.present !== undefined && value.ignoreCase !== undefined) {
    context.addIssue({ code: 'custom', path: ['ignoreCase'], message: 'goes with a text to compare with, not with present' });
  }
}

/** One of the named values that a request may have. @param what the schema's name */
export function namedMatch(what: string, name: z.ZodType<string, string>) {
  return exactlyOne([...KINDS, 'present'], what, z.strictObject({ name, ...optional }).superRefine(checkOptional));
}

const valueMatch = exactlyOne([...KINDS, 'present'], 'ValueMatch', z.strictObject(optional).superRefine(checkOptional));

/** A label's value: a text alone stands for `exact`, `*` for any. */
export const labelMatch = z.union([
  text(LIMITS.matchBytes)
    .min(1, 'is empty, which no label would ever equal')
    .transform((value): z.output<typeof valueMatch> => (value === '*' ? { present: true } : { exact: value })),
  valueMatch,
]);

/** How a text is compared; what a named match has beside its name. */
export type TextMatch = z.output<typeof valueMatch>;
