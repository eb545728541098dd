import fc from 'fast-check';
import type { PolicyInput } from '../../services/policy/schema.ts';

/** Policies that have few texts in common with the requests of `drawn-requests.ts`, so that they meet often. */

type Spec = PolicyInput['spec'];
type Match = NonNullable<Spec['rules'][number]['match']>;
type Fault = Spec['rules'][number]['fault'];
type Parts = Omit<Match, 'probes' | keyof Turns>;

interface Turns extends Pick<Match, 'after' | 'every' | 'sequence' | 'limit'> {
  /** In milliseconds from the present. */
  readonly window?: { readonly start?: number; readonly end?: number };
}

export const word = fc.constantFrom('a', 'b', 'ab', 'a,b', 'é', 'abc', 'A', 'aB');
export const path = fc.array(fc.constantFrom('a', 'b', 'ab', 'B', 'é', ''), { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);

/** So few that what RE2 says of them can be kept; they begin and end alike. */
const HEADS = ['', 'a', '/a', '/', 'ab?', '(?:a|b)', '.*', '[^a]', 'é', '(?i:a)', '\\pL', '^a', '(?:|/)a'];
const TAILS = ['', 'b', '.*', 'b?$', '(?:[b,]|/a)*', '+', '\\b.*', '(?s:.)+', '{2}', '|b', 'é'];
const REGEXES = HEADS.flatMap((head) => TAILS.map((tail) => head + tail)).filter((one) => !/^[+{]|^$|\*[+{]|\?[+{]/.test(one));
const regex = fc.constantFrom(...REGEXES);

const notEmpty = (text: fc.Arbitrary<string>) => text.filter((one) => one !== '');

/** One way to compare a text. */
const comparison = (value: fc.Arbitrary<string>, expression = regex) =>
  fc
    .tuple(
      fc.oneof(
        notEmpty(value).map((exact) => ({ exact })),
        notEmpty(value).map((prefix) => ({ prefix })),
        notEmpty(value).map((suffix) => ({ suffix })),
        notEmpty(value).map((contains) => ({ contains })),
        expression.map((one) => ({ regex: one })),
      ),
      fc.constantFrom({}, {}, {}, { ignoreCase: true }, { ignoreCase: false }),
    )
    .map(([compared, ignoreCase]) => ({ ...compared, ...ignoreCase }));

const named = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>) =>
  fc.array(
    fc
      .tuple(
        name,
        fc.oneof(
          { weight: 5, arbitrary: comparison(value) },
          { weight: 1, arbitrary: fc.constant({ exact: '' }) },
          { weight: 2, arbitrary: fc.boolean().map((present) => ({ present })) },
        ),
      )
      .map(([own, compared]) => ({ name: own, ...compared })),
    { maxLength: 2 },
  );

const HEADERS = ['x-a', 'X-B', 'x-ab', 'host', ':authority', ':path', ':method', ':scheme', 'user-agent', 'cookie', 'content-type'];
const headerText = fc.oneof(word, path, fc.constantFrom('GET', 'http', 'kube-probe/1', 'application/', 'a=', '; b'));
export const authority = fc.constantFrom('a', 'b', 'ab', 'a:80');
const service = fc.constantFrom('a', 'b', 'ab', 'a/b');
export const account = fc.constantFrom('a', 'b', 'ns', 'sa');

const part: fc.Arbitrary<Parts> = fc.oneof(
  comparison(fc.constantFrom('GET', 'POST', 'P', 'T', 'get'), fc.constantFrom('GET|PUT', 'P.*', '.*T', '[A-Z]{3}', '')).map((method) => ({
    method: 'regex' in method && method.regex === '' ? { exact: 'GET' } : method,
  })),
  comparison(path).map((one) => ({ path: one })),
  comparison(authority).map((one) => ({ authority: one })),
  fc.constantFrom(80, 8080).map((port) => ({ port })),
  named(fc.constantFrom(...HEADERS), headerText).map((headers) => ({ headers })),
  named(fc.constantFrom('a', 'b', 'ab', 'é', 'a+b', 'A', '%'), fc.oneof(word, fc.constantFrom('a+b', '%', '%4', 'b=c', ' '))).map(
    (query) => ({
      query,
    }),
  ),
  named(fc.constantFrom('a', 'b', 'ab', 'A'), fc.oneof(word, fc.constantFrom('"', 'a"b', 'a=b', '"a"'))).map((cookies) => ({ cookies })),
  fc.record({ service: comparison(service), method: fc.oneof(service, comparison(service)) }).map((grpc) => ({ grpc })),
  fc.oneof(service, comparison(service)).map((one) => ({ grpc: { service: one } })),
  fc.oneof(account, comparison(account)).map((namespace) => ({ source: { namespace } })),
  fc.oneof(account, comparison(account)).map((serviceAccount) => ({ source: { serviceAccount } })),
  comparison(
    fc.constantFrom('spiffe://td/ns/a/sa/b', '/ns/sa', 'spiffe://', '/sa/a'),
    fc.constantFrom('spiffe://.*/ns/a/.*', '.*/sa/b'),
  ).map((id) => ({
    source: { id },
  })),
);

const merged = (parts: readonly Parts[]): Parts => Object.assign({}, ...parts);

/** @param depth how deep `not` and `anyOf` may still nest */
function nested(depth: number): fc.Arbitrary<Parts> {
  const plain = fc.array(part, { minLength: 1, maxLength: 2 }).map(merged);
  if (depth === 0) return plain;
  const inner = nested(depth - 1);
  return fc.oneof(
    { weight: 4, arbitrary: plain },
    { weight: 1, arbitrary: inner.map((not) => ({ not })) },
    { weight: 1, arbitrary: fc.array(inner, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })) },
    { weight: 1, arbitrary: fc.tuple(plain, inner).map(([own, not]) => ({ ...own, not })) },
  );
}

const match: fc.Arbitrary<Match> = fc
  .tuple(
    fc.oneof({ weight: 1, arbitrary: fc.constant<Parts>({}) }, { weight: 9, arbitrary: nested(4) }),
    fc.constantFrom({}, { probes: true }),
  )
  .map(([parts, probes]) => ({ ...parts, ...probes }));

/** Times of windows, in milliseconds from the present. */
const MOMENTS = [-20_000, -1, 0, 1, 1000, 5000, 20_000];

const moment = fc.constantFrom(...MOMENTS);
const window = fc.oneof(
  moment.map((start) => ({ start })),
  moment.map((end) => ({ end })),
  fc.uniqueArray(moment, { minLength: 2, maxLength: 2 }).map((two) => ({ start: Math.min(...two), end: Math.max(...two) })),
);

/** The turns of a rule; most have none. */
const turns: fc.Arbitrary<Turns> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        after: fc.constantFrom(0, 1, 2),
        every: fc.constantFrom(1, 2, 3),
        sequence: fc.array(fc.constantFrom('fault' as const, 'none' as const), { minLength: 1, maxLength: 3 }),
        limit: fc.constantFrom(1, 2, 4),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: window.map((one) => ({ window: one })) },
);

const share = fc.constantFrom(0, 0, 0.0001, 20, 50, 80, 99.9999, 100);
const ramp = fc.record({ from: share, to: share, over: fc.constantFrom('1s', '10s', '20s') }).map((one) => ({ ramp: one }));
const percentage = fc.oneof({ weight: 7, arbitrary: fc.constant(100) }, { weight: 2, arbitrary: share }, { weight: 1, arbitrary: ramp });
const sticky = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.record({
      by: fc.constantFrom({ header: 'x-a' }, { header: 'X-B' }, { cookie: 'a' }, { header: ':path' }),
      seed: fc.constantFrom(0, 1, 0xffffffff),
    }),
  },
);

const rule = fc.record({
  match: fc.option(match, { nil: undefined, freq: 15 }),
  turns,
  fault: fc
    .record({ percentage, sticky, duration_seconds: fc.constantFrom(0, 0, 0, 10) })
    .map(({ sticky: dice, ...rest }): Omit<Fault, 'abort'> => ({ ...rest, ...(dice && { sticky: { ...dice.by, seed: dice.seed } }) })),
});

const labels = fc.constantFrom<Record<string, string>>(
  { version: 'v1' },
  { version: '*' },
  { version: 'v2' },
  { app: 'frontend', version: '*' },
);

const spec = fc.record({
  selector: fc.record(
    {
      namespace: fc.constantFrom('demo', 'demo', 'other', '*'),
      service: fc.constantFrom('frontend', 'frontend', 'backend', '*'),
      workload: fc.constantFrom('frontend-v1', 'frontend-v1', '*', 'demo'),
      labels,
    },
    { requiredKeys: [] },
  ),
  direction: fc.constantFrom('inbound' as const, 'inbound' as const, 'outbound' as const),
  mode: fc.constantFrom('enforce' as const, 'enforce' as const, 'enforce' as const, 'enforce' as const, 'shadow' as const),
  priority: fc.integer({ min: -1, max: 1 }),
  rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
});

/** A policy whose windows are still in milliseconds from the present, and how long ago it was applied. */
export const drawnPolicy = fc.record({ spec, age: fc.constantFrom(0, 1, 5000, 9_999, 10_000, 30_000) });

export type DrawnPolicy = typeof drawnPolicy extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/** The policy as a user writes it. @param now milliseconds since the epoch */
export function asWritten(name: string, { spec: drawn }: DrawnPolicy, now: number): PolicyInput {
  const at = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : new Date(now + ms).toISOString());
  const rules = drawn.rules.map(({ match: own, turns: { window: between, ...counted }, fault }) => {
    const windowed = between && { window: JSON.parse(JSON.stringify({ start: at(between.start), end: at(between.end) })) };
    const asked = { ...own, ...counted, ...windowed };
    return { ...((own || Object.keys(asked).length > 0) && { match: asked }), fault: { ...fault, abort: { httpStatus: 503 } } };
  });
  return { metadata: { name }, spec: { ...drawn, rules } } as PolicyInput;
}
