import { binomialInterval } from '../bench/statistics.ts';
import type { Expectation, ExpectedHeader } from './case.ts';
import type { Seen } from './host.ts';

/** What a request came to, in the words of an expectation. */
interface Got extends Omit<Seen, 'rule'> {
  readonly policy?: string | undefined;
  readonly rule?: number | undefined;
}

const CONFIDENCE = 0.999;

/**
 * Compares what became of all requests of a case with what it expects.
 *
 * @param deciding the rule that decides such a request, where the host couldn't tell it
 * @returns what was got instead, or undefined when all is as expected; `late` when nothing is wrong but that a request went on too late
 */
export function judge(
  expected: Expectation,
  seen: readonly Seen[],
  deciding: string | undefined,
  lateMs: number,
): { got: object; late: boolean } | undefined {
  const all = seen.map((one): Got => ({ ...one, ...partsOf(one.rule ?? deciding) }));
  if (expected.hit !== undefined) {
    const hit = seen.flatMap((one, i) => (isFaulted(one) ? [i + 1] : []));
    if (JSON.stringify(hit) !== JSON.stringify(expected.hit)) return { got: { hit }, late: false };
  }
  const some = expected.rate !== undefined ? all.filter((got) => isMeant(expected, got)) : undefined;
  const judged = some ?? (expected.hit === undefined ? all : all.filter(isFaulted));
  const wrongShare = expected.rate === undefined ? undefined : shareProblem(expected.rate, judged.length, seen.length);
  if (wrongShare !== undefined) return { got: wrongShare, late: false };
  for (const got of judged) {
    const wrong = mismatches(expected, got, lateMs);
    if (wrong.length === 0) continue;
    const late = wrong.every((key) => key === 'delayMs') && got.delayMs > (expected.delayMs ?? 0);
    return { got: { ...shown(expected, got), ...(seen.length > 1 && { request: all.indexOf(got) + 1 }) }, late };
  }
  return undefined;
}

function partsOf(rule: string | undefined): { policy?: string | undefined; rule: number | undefined } {
  const [policy, index] = rule?.split('/') ?? [];
  return { policy, rule: index === undefined ? undefined : Number(index) };
}

export function isFaulted({ kinds }: Pick<Seen, 'kinds'>): boolean {
  return kinds[0] !== 'none';
}

/** Whether a request is one of those that a share is about: what is done to it, and by whom, is what is expected. */
function isMeant({ fault, policy, rule, rate }: Expectation, got: Got): boolean {
  // "None, at a rate of 0": no request is faulted.
  const isKind = fault === undefined || (fault === 'none' && rate === 0) ? isFaulted(got) : got.kinds.includes(fault);
  return isKind && (policy ?? got.policy) === got.policy && (rule ?? got.rule) === got.rule;
}

/** What is wrong with so many of all requests when each is one of them with probability `rate`. */
function shareProblem(rate: number, count: number, requests: number): object | undefined {
  const exactly = rate * requests;
  const { low, high } = rate === 0 || rate === 1 ? { low: exactly, high: exactly } : binomialInterval(requests, rate, CONFIDENCE);
  return count < low || count > high ? { asExpected: count, requests, allowed: [low, high] } : undefined;
}

function mismatches(expected: Expectation, got: Got, lateMs: number): string[] {
  const { fault, headers = [], delayMs, service } = expected;
  const wrong: string[] = [];
  if (fault !== undefined && !got.kinds.includes(fault)) wrong.push('fault');
  for (const key of ['policy', 'rule', 'status', 'body'] as const) {
    if (expected[key] !== undefined && expected[key] !== got[key]) wrong.push(key);
  }
  if (!hasHeaders(got.headers, headers)) wrong.push('headers');
  if (service !== undefined && !isService(service, got.service)) wrong.push('service');
  if (delayMs !== undefined && (got.delayMs < delayMs || got.delayMs > delayMs + lateMs)) wrong.push('delayMs');
  return wrong;
}

/** Whether all the headers are there, and those with the value null are not. */
function hasHeaders(given: Seen['headers'], wanted: readonly ExpectedHeader[]): boolean {
  return wanted.every(([name, value]) => {
    const values = given.filter((one) => one[0].toLowerCase() === name.toLowerCase()).map((one) => one[1]);
    return value === null ? values.length === 0 : values.includes(value);
  });
}

function isService(wanted: NonNullable<Expectation['service']>, got: Seen['service']): boolean {
  if (wanted === false || got === undefined) return wanted === false && got === undefined;
  const isSame = (['method', 'path', 'body'] as const).every((key) => wanted[key] === undefined || wanted[key] === got[key]);
  return isSame && hasHeaders(got.headers, wanted.headers ?? []);
}

/** What was expected of, and always what was done and by which rule. */
function shown(expected: Expectation, got: Got): object {
  const always = { fault: got.kinds[0], ...(got.policy !== undefined && { policy: got.policy, rule: got.rule }), status: got.status };
  return {
    ...always,
    ...(expected.body !== undefined && { body: got.body }),
    ...(expected.headers !== undefined && { headers: got.headers }),
    ...(expected.delayMs !== undefined && { delayMs: got.delayMs }),
    ...(expected.service !== undefined && { service: got.service ?? false }),
  };
}
