import { z } from '@hono/zod-openapi';
import type { QueryCondition } from '../../policy/stop-when.ts';

/** What Prometheus says to a query. */
export type Answer =
  /** The numbers of an instant vector or scalar, of which there is at least one. */
  | { readonly kind: 'samples'; readonly values: readonly number[] }
  | { readonly kind: 'none'; readonly why: string }
  /** Nothing will ever come of this query. */
  | { readonly kind: 'bad-query'; readonly why: string };

/** What an answer means for a condition. */
export type Verdict = { readonly kind: 'holds' | 'fine'; readonly value: number } | { readonly kind: 'no-data'; readonly why: string };

/** An error's text may have the whole query in it. */
const LONGEST_ERROR = 300;

/** `[unix time, "number"]` */
const sample = z.tuple([z.number(), z.string()]);

/** Prometheus' HTTP API, *Expression queries*; what is not asked for is left alone. */
const success = z.object({
  status: z.literal('success'),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('vector'), result: z.array(z.object({ value: sample.optional() })) }),
    z.object({ resultType: z.literal('scalar'), result: sample }),
    z.object({ resultType: z.literal('matrix') }),
    z.object({ resultType: z.literal('string') }),
  ]),
});
const failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });

/** Reads what `/api/v1/query` answered. */
export function readAnswer(status: number, text: string): Answer {
  const body = parsedOrNothing(text);
  const failed = failure.safeParse(body);
  if (failed.success) {
    const { errorType, error } = failed.data;
    const why = error.length > LONGEST_ERROR ? `${error.slice(0, LONGEST_ERROR)}…` : error;
    return errorType === 'bad_data' ? { kind: 'bad-query', why } : { kind: 'none', why: `Prometheus answered ${status}: ${why}` };
  }
  if (status !== 200) return { kind: 'none', why: `Prometheus answered ${status}` };
  const read = success.safeParse(body);
  if (!read.success) return { kind: 'none', why: "the answer is none of Prometheus' HTTP API" };
  const { data } = read.data;
  if (data.resultType === 'matrix' || data.resultType === 'string')
    return { kind: 'bad-query', why: `it gives a ${data.resultType}, and must give an instant vector or a scalar` };
  const samples = data.resultType === 'scalar' ? [data.result] : data.result.flatMap(({ value }) => (value === undefined ? [] : [value]));
  if (samples.length === 0) return { kind: 'none', why: 'the answer has no sample' };
  const values = samples.map(([, number]) => numberOf(number)).filter((value) => !Number.isNaN(value));
  return values.length === 0 ? { kind: 'none', why: 'the answer has no sample but NaN' } : { kind: 'samples', values };
}

/** What an answer means. The value is that of the sample that is nearest to the condition, or furthest beyond. */
export function judge(answer: Answer, { limit }: Pick<QueryCondition, 'limit'>): Verdict {
  if (answer.kind !== 'samples') return { kind: 'no-data', why: answer.why };
  const above = limit.side === 'above';
  // Not by spreading: an answer can have more samples than a call takes arguments.
  const value = answer.values.reduce((most, one) => (above === one > most ? one : most));
  return { kind: (above ? value > limit.value : value < limit.value) ? 'holds' : 'fine', value };
}

/** A number as Prometheus writes it. */
function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return text.trim() === '' ? Number.NaN : Number(text);
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
