import fc from 'fast-check';
import type { Request } from '../conformance/oracle-match.ts';
import { account, authority, path, word } from './drawn-policies.ts';

/** Requests that have few texts in common with the policies of `drawn-policies.ts`, so that they meet often; some that no client would send. */

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
/** What Envoy's HTTP would hardly let through, and what is longer than any matcher. */
const HOSTILE_VALUES = [
  Uint8Array.of(0xff),
  Uint8Array.of(0x61, 0xc3),
  Uint8Array.of(0xed, 0xa0, 0x80),
  'a\0b',
  '\0',
  'a\nb',
  ' a',
  'a'.repeat(5000),
  `${'/ab'.repeat(1500)}b`,
];
const HOSTILE_NAMES = ['', 'x', 'x-', 'x-a\0', 'X-A', 'cooki', 'cookie2', 'é', ':scheme2', ':', 'x-a'.repeat(200)];
const hostile = fc.oneof(
  fc.tuple(oneOf('x-a', 'x-b', 'x-ab', 'cookie'), fc.constantFrom<string | Uint8Array>(...HOSTILE_VALUES)),
  fc.tuple(oneOf(...HOSTILE_NAMES), fc.oneof(word, fc.constantFrom<string | Uint8Array>(...HOSTILE_VALUES))),
);
const header = fc.oneof(
  { weight: 1, arbitrary: hostile },
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

const headers = fc.oneof(
  { weight: 30, arbitrary: fc.array(header, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.array(header, { minLength: 60, maxLength: 100 }) },
);

const id = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(oneOf('td', 'ns', 'sa'), account, account).map((parts) => `spiffe://${parts[0]}/ns/${parts[1]}/sa/${parts[2]}`),
  },
  {
    weight: 1,
    arbitrary: oneOf(
      'spiffe://td/ns/a',
      'spiffe://td/ns/a/sa',
      'spiffe://td/ns/a/sa/',
      'spiffe://td/ns/a/sa/b/',
      'spiffe://td/ns/a/sa/b/c',
      'spiffe:///ns/a/sa/b',
      'spiffe://td/ns//sa/b',
      'spiffe://td/sa/b/ns/a',
      'spiffe://a',
      'ns/a/sa/b',
    ),
  },
);

/** The head of a request. Only CONNECT has no path. */
const head = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      method: oneOf('GET', 'POST'),
      path: fc.tuple(path, query).map(([before, after]) => before + after),
      authority: fc.option(authority, { nil: undefined, freq: 30 }),
    }),
  },
  { weight: 1, arbitrary: authority.map((host) => ({ method: 'CONNECT', authority: host })) },
);

export const request: fc.Arbitrary<Request> = fc
  .record({
    head,
    headers,
    type: fc.option(contentType, { nil: undefined }),
    source: fc.option(id, { nil: undefined }),
    port: fc.constantFrom(80, 8080, undefined),
  })
  .map(({ head: first, type, headers: own, source, port }) => ({
    ...first,
    source,
    port,
    headers: type === undefined ? own : [...own, ['content-type', type] as const],
  }));
