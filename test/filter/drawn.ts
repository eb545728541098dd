import fc from 'fast-check';
import type { PolicyInput } from '../../services/policy/schema.ts';
import type { Request } from '../conformance/oracle-match.ts';

/** Policies and requests that have few texts in common, so that they meet often. */

type Match = NonNullable<PolicyInput['spec']['rules'][number]['match']>;
type Parts = Omit<Match, 'probes'>;

const word = fc.constantFrom('a', 'b', 'ab', 'a,b', 'é', 'abc', 'A', 'aB');
const path = fc.array(fc.constantFrom('a', 'b', 'ab', 'B', 'é', ''), { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);

/** So few that RE2's memory holds them all; they begin and end alike. */
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
const authority = fc.constantFrom('a', 'b', 'ab', 'a:80');
const service = fc.constantFrom('a', 'b', 'ab', 'a/b');
const account = fc.constantFrom('a', 'b', 'ns', 'sa');
const label = fc.constantFrom('app', 'version', 'role', 'shop.dev/role', 'workload');

const part: fc.Arbitrary<Parts> = fc.oneof(
  comparison(fc.constantFrom('GET', 'POST', 'P', 'T', 'get'), fc.constantFrom('GET|PUT', 'P.*', '.*T', '[A-Z]{3}', '')).map((method) => ({
    method: 'regex' in method && method.regex === '' ? { exact: 'GET' } : method,
  })),
  comparison(path).map((one) => ({ path: one })),
  comparison(authority).map((one) => ({ authority: one })),
  fc.constantFrom(80, 8080).map((port) => ({ port })),
  fc.oneof(account, comparison(account)).map((cluster) => ({ cluster })),
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
  fc
    .tuple(fc.constantFrom('workload', 'service', 'version'), fc.oneof(account, comparison(account)))
    .map(([told, one]) => ({ source: { [told]: one } })),
  fc
    .dictionary(label, fc.oneof(account, fc.constant('*'), comparison(account), fc.record({ present: fc.boolean() })), {
      minKeys: 1,
      maxKeys: 2,
    })
    .map((labels) => ({ source: { labels } })),
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

const rule = fc.record({
  match: fc.option(match, { nil: undefined, freq: 15 }),
  duration: fc.constantFrom(0, 0, 0, 10),
  sticky: fc.constantFrom(...new Array<undefined>(8).fill(undefined), { header: 'x-a' }, { cookie: 'a' }),
});

export const spec = fc.record({
  selector: fc.record(
    {
      namespace: fc.constantFrom('demo', 'other', '*'),
      service: fc.constantFrom('frontend', 'backend', '*'),
      workload: fc.constantFrom('frontend-v1', '*'),
      labels: fc.constantFrom({ version: 'v1' }, { version: '*' }, { version: 'v2' }),
    },
    { requiredKeys: [] },
  ),
  direction: fc.constantFrom('inbound' as const, 'inbound' as const, 'outbound' as const),
  priority: fc.integer({ min: -1, max: 1 }),
  rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
});

const oneOf = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const joined = (piece: fc.Arbitrary<string>, between: string, most: number): fc.Arbitrary<string> =>
  fc.array(piece, { maxLength: most }).map((pieces) => pieces.join(between));

const parameter = fc
  .tuple(
    oneOf('a', 'b', 'ab', '%61', '%C3%A9', 'é', 'A', 'a+b', 'a%2Bb', '', '%', '%4'),
    oneOf(
      '',
      '=',
      '=a',
      '=b',
      '=%62',
      '=ab',
      '=a%2Cb',
      '=a+b',
      '=%',
      '=%4',
      '=%C3%A9',
      '=%ff',
      '=a%FF',
      '=b=c',
      '=%20',
      '=aB',
      '=a?b',
      '=%00',
    ),
  )
  .map(([name, value]) => name + value);
const query = fc.oneof(
  oneOf('', '?', '#a', '?x#y', '#?a=a'),
  fc.tuple(joined(parameter, '&', 3), oneOf('', '', '', '#a', '&', '&a=b')).map(([parameters, end]) => `?${parameters}${end}`),
);
const cookies = fc.tuple(
  oneOf('; ', ';', ';  '),
  fc.array(
    fc.tuple(oneOf('a', 'b', 'ab', 'A'), oneOf('', '=', '=a', '=b', '="a"', '=""', '="', '=a"b', '=ab', '=é', '=a=b', '=""a""', '=aB')),
    { maxLength: 3 },
  ),
);
const header = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(oneOf('x-a', 'x-b', 'x-ab', 'x-other'), fc.oneof(word, path, oneOf('', 'application/grpc'))) },
  { weight: 1, arbitrary: fc.tuple(oneOf('user-agent'), fc.oneof(word, oneOf('kube-probe/1', 'Envoy/HC'))) },
  {
    weight: 3,
    arbitrary: cookies.map(([between, pieces]): [string, string] => ['cookie', pieces.map((one) => one.join('')).join(between)]),
  },
);
const contentType = oneOf(
  'application/grpc',
  'application/grpc',
  'application/grpc+proto',
  'application/grpc-web',
  'application/json',
  'a',
);

export const request: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom('GET', 'POST'),
    path: fc.tuple(path, query).map(([before, after]) => before + after),
    authority,
    headers: fc.array(header, { maxLength: 4 }),
    type: fc.option(contentType, { nil: undefined }),
    source: fc.option(
      fc
        .tuple(
          oneOf('td', 'ns', 'sa', ''),
          fc.oneof({ weight: 6, arbitrary: account }, oneOf('', 'a/b')),
          account,
          oneOf('', '', '', '/', '/a'),
        )
        .map(([domain, namespace, name, behind]) => `spiffe://${domain}/ns/${namespace}/sa/${name}${behind}`),
      { nil: undefined },
    ),
    peer: fc.option(
      fc.record(
        {
          workload: account,
          service: fc.oneof(account, oneOf('')),
          version: account,
          labels: fc.dictionary(label, fc.oneof(account, oneOf('')), { maxKeys: 3 }),
        },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
    cluster: fc.constantFrom('a', 'ns', '', undefined),
    port: fc.constantFrom(80, 8080, undefined),
  })
  .map(({ type, headers, ...rest }) => ({
    ...rest,
    headers: type === undefined ? headers : [...headers, ['content-type', type] as const],
  }));
