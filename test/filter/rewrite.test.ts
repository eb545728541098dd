import assert from 'node:assert/strict';
import fc from 'fast-check';
import { unpair } from '../../filter/host/header-pairs.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { sealed } from '../fuzz/rulesets.ts';
import { Envoy, made } from './envoy.ts';

/** What becomes of a request's path, against a slow and obvious model that is written from the policy reference. */

interface Query {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

/** One character a byte, as the filter sees a path. */
const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const decoded = (text: string): string => text.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
const encoded = (text: string): string =>
  bytes(text).replace(/[^A-Za-z0-9\-._~]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

type Path = string | { readonly prefix: string; readonly to: string };

function aloneAfter(alone: string, path: Path | undefined): string {
  if (typeof path !== 'object') return path ?? alone;
  return alone.startsWith(path.prefix) ? path.to + alone.slice(path.prefix.length) : alone;
}

function changed(path: string, { set = {}, add = {}, remove = [] }: Query = {}, to?: Path): string {
  const [, alone = '', mark = '', query = '', fragment = ''] = /^([^?#]*)(\??)([^#]*)(.*)$/s.exec(bytes(path)) ?? [];
  const nameOf = (parameter: string): string => decoded(parameter.replace(/=.*$/s, ''));
  const left = Object.entries(set).map(([name, value]) => ({
    name: bytes(name),
    text: `${encoded(name)}=${encoded(value)}`,
    placed: false,
  }));
  let pieces = mark === '' ? [] : query.split('&');
  pieces = pieces.flatMap((piece) => {
    const wanted = left.find(({ name }) => name === nameOf(piece));
    if (wanted === undefined) return remove.map(bytes).includes(nameOf(piece)) ? [] : [piece];
    if (wanted.placed) return [];
    wanted.placed = true;
    return [wanted.text];
  });
  for (const { text } of left.filter(({ placed }) => !placed)) pieces = appended(pieces, text);
  for (const [name, value] of Object.entries(add)) pieces = appended(pieces, `${encoded(name)}=${encoded(value)}`);
  return aloneAfter(alone, to) + (pieces.length === 0 ? '' : `?${pieces.join('&')}`) + fragment;
}

/** Behind an empty last piece, as in `/?` and `/?a&`, a parameter takes its place. */
function appended(pieces: readonly string[], text: string): string[] {
  return pieces.at(-1) === '' ? [...pieces.slice(0, -1), text] : [...pieces, text];
}

const oneOf = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const name = oneOf('a', 'b', 'é', 'a b', 'a&b', '%', '%61', '+', '=', '?', '#');
const value = oneOf('', '1', 'é', 'a b', 'a=b&c', '100%', '?', '#', '/');
const parameter = fc
  .tuple(
    oneOf('', 'a', 'b', '%61', 'a%20b', 'a+b', '%C3%A9', '%c3%a9', 'é', 'A', '%', '%4', '%3D', 'a%26b'),
    oneOf('', '=', '=1', '=?', '=%', '==', '=a=b'),
  )
  .map(([before, after]) => before + after);
const path = fc
  .tuple(
    oneOf('/', '/a', '/a%3Fb', '/a=b&c', '', '*', '/é'),
    fc.oneof(
      oneOf('', '?'),
      fc.array(parameter, { maxLength: 5 }).map((all) => `?${all.join('&')}`),
    ),
    oneOf('', '', '', '#', '#a?b=c&d'),
  )
  .map((parts) => parts.join(''));
const map = fc.dictionary(name, value, { minKeys: 1, maxKeys: 3 });
const query = fc
  .record({ set: map, add: map, remove: fc.array(name, { maxLength: 3 }) }, { requiredKeys: [] })
  .filter((one) => Object.keys(one).length > 0);

const own = oneOf('/', '/a', '/a%3Fb', '/a=b', '/a%3Fbc', '/new');
const change = fc
  .record({ path: fc.oneof(own, fc.record({ prefix: own, to: own })), query }, { requiredKeys: [] })
  .filter((one) => Object.keys(one).length > 0);

describe('filter: the path of a request', () => {
  it('becomes what the reference says, in 5,000 drawn paths and changes', function () {
    this.timeout(60_000);
    const envoy = new Envoy();
    fc.assert(
      fc.property(change, fc.array(path, { minLength: 10, maxLength: 10 }), (request, paths) => {
        envoy.serve([made('p', { rules: [{ fault: { request } }] })]);
        for (const sent of paths) {
          const stream = envoy.request([[':path', sent]]);
          envoy.vm.end(stream);
          const got = unpair(stream.headers).find(([header]) => header === ':path')?.[1];
          assert.equal(bytes(got ?? ''), changed(sent, request.query, request.path), sent);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('grows by no more than 1 MiB, whatever a ruleset says', () => {
    const set = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [String(100 + i), 'x'.repeat(700)]));
    const body = 'y'.repeat(65_536);
    const good = compileRuleset(
      [{ policy: made('p', { rules: [{ fault: { request: { query: { set } }, response: { body } } }] }), appliedAt: 0 }],
      0,
    );
    /** The same with another length of each text: what lies behind it counts as well. */
    const with64Of = (length: number): Uint8Array => {
      const view = new DataView(good.slice().buffer);
      let found = 0;
      for (let at = 0; at < view.byteLength; at += 4) {
        if (view.getUint32(at, true) !== 704) continue;
        view.setUint32(at, length, true);
        found++;
      }
      assert.equal(found, 64);
      return sealed(new Uint8Array(view.buffer));
    };
    const envoy = new Envoy();
    for (const [length, refused] of [
      [16_384, 0],
      [16_385, 1],
    ] as const) {
      envoy.serveBytes(with64Of(length));
      assert.equal(envoy.metric('rulesets_refused_total'), refused);
      const [, path = ''] = unpair(envoy.request().headers).find(([header]) => header === ':path') ?? [];
      assert.equal(path.length, 1 + 64 * 16_385);
    }
  });

  it('and a request without one stays without', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { request: { query: { set: { a: '1' } } } } }] })]);
    const stream = envoy.vm.request(envoy.root, [
      [':method', 'CONNECT'],
      [':authority', 'a:80'],
    ]);
    assert.equal(stream.action, 0);
    assert.deepEqual(
      unpair(stream.headers).map(([header]) => header),
      [':method', ':authority'],
    );
  });
});
