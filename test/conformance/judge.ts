import { HEADER_FAULT } from '../../filter/assembly/protocol.ts';
import { binomialInterval } from '../bench/statistics.ts';
import type { Expectation, Header } from './case.ts';
import type { Arrived, Seen } from './host.ts';

/** What a request came to, in the words of an expectation. */
export interface Got {
  readonly fault: string;
  readonly policy?: string | undefined;
  readonly rule?: number | undefined;
  readonly status: number;
  readonly body: string;
  readonly headers: Seen['headers'];
  readonly arrived?: Arrived | undefined;
  readonly delayMs: number;
}

const CONFIDENCE = 0.999;

/** Whether an answer names the rule that made it what it is. */
export function namesRule(headers: Seen['headers']): boolean {
  return headers.some(([name]) => name.toLowerCase() === HEADER_FAULT);
}

/** The rule that an answer names, as `policy/rule` in its header. */
export function namedRule({ headers }: Seen): { policy: string; rule: number } | undefined {
  const found = headers.find(([name]) => name.toLowerCase() === HEADER_FAULT)?.[1].split('/');
  return found === undefined ? undefined : { policy: found[0] ?? '', rule: Number(found[1]) };
}

/**
 * Compares what became of all requests of a case with what it expects.
 *
 * @param rule which rule decided, per request
 * @returns what was got instead, or undefined when all is as expected; `late` when nothing is wrong but that a request went on too late
 */
export function judge(
  expected: Expectation,
  seen: readonly Seen[],
  rule: (one: Seen) => { policy: string; rule: number } | undefined,
  lateMs: number,
): { got: object; late: boolean } | undefined {
  const judged = expected.rate === undefined ? seen : seen.filter(({ fault }) => fault !== 'none');
  if (expected.rate !== undefined) {
    const { low, high } = counts(seen.length, expected.rate);
    if (judged.length < low || judged.length > high) {
      return { got: { faulted: judged.length, requests: seen.length, allowed: [low, high] }, late: false };
    }
  }
  for (const one of judged) {
    const got: Got = { ...one, ...rule(one) };
    const wrong = mismatches(expected, got, lateMs);
    if (wrong.length === 0) continue;
    const late = wrong.every((key) => key === 'delayMs') && got.delayMs > (expected.delayMs ?? 0);
    return { got: { ...shown(expected, got), ...(seen.length > 1 && { request: seen.indexOf(one) + 1 }) }, late };
  }
  return undefined;
}

/** How many of `requests` may be faulted when each is with probability `rate`. */
function counts(requests: number, rate: number): { low: number; high: number } {
  if (rate === 0 || rate === 1) return { low: rate * requests, high: rate * requests };
  return binomialInterval(requests, rate, CONFIDENCE);
}

function mismatches(expected: Expectation, got: Got, lateMs: number): string[] {
  const { headers = [], delayMs } = expected;
  const wrong: string[] = [];
  for (const key of ['fault', 'policy', 'rule', 'status', 'body'] as const) {
    if (expected[key] !== undefined && expected[key] !== got[key]) wrong.push(key);
  }
  if (!hasAll(got.headers, headers)) wrong.push('headers');
  if (expected.arrived !== undefined && !fits(expected.arrived, got.arrived)) wrong.push('arrived');
  if (delayMs !== undefined && (got.delayMs < delayMs || got.delayMs > delayMs + lateMs)) wrong.push('delayMs');
  return wrong;
}

function hasAll(headers: readonly Header[], wanted: readonly Header[]): boolean {
  return wanted.every(([name, value]) => headers.some((one) => one[0].toLowerCase() === name.toLowerCase() && one[1] === value));
}

function fits({ headers = [], ...wanted }: NonNullable<Expectation['arrived']>, got: Arrived | undefined): boolean {
  if (got === undefined) return false;
  const same = (['method', 'path', 'body'] as const).every((key) => wanted[key] === undefined || wanted[key] === got[key]);
  return same && hasAll(got.headers, headers);
}

/** What was expected of, and always what was done and by which rule. */
function shown(expected: Expectation, got: Got): object {
  const always = { fault: got.fault, ...(got.policy !== undefined && { policy: got.policy, rule: got.rule }), status: got.status };
  return {
    ...always,
    ...(expected.body !== undefined && { body: got.body }),
    ...(expected.headers !== undefined && { headers: got.headers }),
    ...(expected.arrived !== undefined && { arrived: got.arrived ?? null }),
    ...(expected.delayMs !== undefined && { delayMs: got.delayMs }),
  };
}
