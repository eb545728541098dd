import assert from 'node:assert/strict';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, made } from './envoy.ts';

type Match = NonNullable<PolicyInput['spec']['rules'][number]['match']>;
type Headers = readonly (readonly [string, string])[];

const path = (value: string): Headers => [[':path', value]];
const x = (value: string): Headers => [['x-a', value]];
const cookie = (...values: string[]): Headers => values.map((value) => ['cookie', value] as const);
const grpc = (value: string, type = 'application/grpc'): Headers => [
  [':path', value],
  ['content-type', type],
];

/** What is matched, a request that it matches, and one that it doesn't. */
const CASES: readonly [what: string, match: Match, hit: readonly Headers[], missed: readonly Headers[]][] = [
  ['suffix', { path: { suffix: '.jpg' } }, [path('/a.jpg'), path('/.jpg?x=1')], [path('/a.jpgs'), path('/a?b=.jpg'), path('jpg')]],
  ['contains', { path: { contains: '/b/' } }, [path('/a/b/c'), path('/b/')], [path('/a/b'), path('/a?x=/b/')]],
  ['exact in any case', { headers: [{ name: 'x-a', exact: 'BlÜe', ignoreCase: true }] }, [x('bLÜE'), x('BlÜe')], [x('blüe'), x('blue')]],
  ['prefix in any case', { path: { prefix: '/API', ignoreCase: true } }, [path('/api/x'), path('/Api')], [path('/ap')]],
  ['suffix in any case', { path: { suffix: '.JPG', ignoreCase: true } }, [path('/a.jpg')], [path('/a.png')]],
  ['contains in any case', { path: { contains: 'X[', ignoreCase: true } }, [path('/ax[b')], [path('/ax{b')]],
  [
    'regex',
    { path: { regex: '/v[0-9]+/(users|orders)' } },
    [path('/v12/users'), path('/v1/orders?a=b')],
    [path('/v/users'), path('/v1/users/')],
  ],
  ['regex in any case', { headers: [{ name: 'x-a', regex: '(stra)ß?e', ignoreCase: true }] }, [x('STRAe'), x('STRAßE')], [x('STRASSE')]],
  [
    'regex of two rules',
    { path: { regex: '.*a.*' }, headers: [{ name: 'x-a', regex: '[^;]*' }] },
    [[...path('/a'), ...x('b')]],
    [path('/a'), [...path('/a'), ...x(';')]],
  ],
  ['present', { headers: [{ name: 'X-A', present: true }] }, [x(''), x('b')], [[]]],
  ['not present', { headers: [{ name: 'x-a', present: false }] }, [[]], [x(''), x('b')]],
  ['an empty header', { headers: [{ name: 'x-a', exact: '' }] }, [x('')], [[], x('a')]],
  ['repeated headers, joined', { headers: [{ name: 'x-a', regex: '1,[23]' }] }, [[...x('1'), ...x('3')]], [x('1'), [...x('3'), ...x('1')]]],
  ['authority', { authority: { suffix: '.example' } }, [[[':authority', 'a.example']]], [[[':authority', 'a.example:80']]]],
  [
    'query',
    { query: [{ name: 'a', exact: 'b' }] },
    [path('/?a=b'), path('/?c&a=b&a=d'), path('/?%61=%62#x')],
    [path('/?a=d&a=b'), path('/a=b'), path('/#?a=b'), path('/?A=b')],
  ],
  [
    'query, decoded',
    { query: [{ name: 'ä b', exact: '100%' }] },
    [path('/?%C3%A4%20b=100%25'), path('/?%c3%a4%20b=100%')],
    [path('/?%C3%A4+b=100%25')],
  ],
  [
    'query without a value',
    { query: [{ name: 'a', exact: '' }] },
    [path('/?a'), path('/?b&a='), path('/?a&a=1')],
    [path('/?'), path('/?b=a')],
  ],
  ['query missing', { query: [{ name: 'a', present: false }] }, [path('/'), path('/?b=a')], [path('/?a'), path('/?b=1&a=2')]],
  [
    'cookie',
    { cookies: [{ name: 'id', exact: 'x=1' }] },
    [cookie('a=b; id=x=1'), cookie('id="x=1"'), cookie('a=b', 'id=x=1;c=d')],
    [cookie('id=x=1x'), cookie('ID=x=1'), cookie('id=2; id=x=1')],
  ],
  ['cookie missing', { cookies: [{ name: 'id', present: false }] }, [[], cookie('id'), cookie('a=id=1')], [cookie('b=1; id=')]],
  [
    'gRPC',
    { grpc: { service: { exact: 'shop.Orders' }, method: { prefix: 'Get' } } },
    [grpc('/shop.Orders/GetOne'), grpc('/shop.Orders/Get?', 'application/grpc+proto')],
    [grpc('/shop.Orders/Put'), grpc('/shop.Orders/GetOne', 'application/grpc-web'), grpc('/shop.Orders'), path('/shop.Orders/GetOne')],
  ],
  [
    'not',
    { not: { path: { prefix: '/a' }, method: { exact: 'GET' } } },
    [path('/b'), [...path('/a'), [':method', 'PUT']]],
    [path('/a'), path('/ab')],
  ],
  [
    'any of',
    { anyOf: [{ path: { exact: '/a' } }, { headers: [{ name: 'x-a', exact: '1' }] }] },
    [path('/a'), x('1')],
    [path('/b'), x('2')],
  ],
  [
    'not any of',
    { not: { anyOf: [{ path: { exact: '/a' } }, { not: { headers: [{ name: 'x-a', present: true }] } }] } },
    [[...path('/b'), ...x('1')]],
    [path('/b'), [...path('/a'), ...x('1')]],
  ],
];

describe('filter: matchers', () => {
  for (const [what, match, hit, missed] of CASES) {
    it(`matches ${what}`, () => {
      const envoy = new Envoy();
      envoy.serve([made('p', { rules: [{ match, fault: { abort: { httpStatus: 418 } } }] })]);
      for (const headers of hit) assert.equal(envoy.request(headers).replies.length, 1, `${JSON.stringify(headers)} is to be hit`);
      for (const headers of missed) assert.equal(envoy.request(headers).replies.length, 0, `${JSON.stringify(headers)} is to be missed`);
    });
  }

  it('matches the cluster of the route, and no request without a route', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ match: { cluster: { prefix: 'outbound|80|' } }, fault: { abort: { httpStatus: 418 } } }] })]);
    assert.equal(envoy.request().replies[0]?.status, undefined);
    envoy.process.properties.set('xds\0cluster_name', new TextEncoder().encode('outbound|80|v2|reviews'));
    assert.equal(envoy.request().replies[0]?.status, 418);
    envoy.process.properties.delete('xds\0cluster_name');
    assert.equal(envoy.request().replies[0]?.status, undefined);
    // What matches anything is asked of an empty text as well, which is how some hosts say that there is none.
    envoy.serve([made('p', { rules: [{ match: { cluster: { regex: '.*' } }, fault: { abort: { httpStatus: 418 } } }] })]);
    assert.equal(envoy.request().replies[0]?.status, undefined);
    envoy.process.properties.set('xds\0cluster_name', new Uint8Array());
    assert.equal(envoy.request().replies[0]?.status, undefined);
    envoy.process.properties.set('xds\0cluster_name', new TextEncoder().encode('a'));
    assert.equal(envoy.request().replies[0]?.status, 418);
  });

  it('matches the caller by its certificate, and nobody without one', () => {
    const policies = [
      made('account', { rules: [{ match: { source: { serviceAccount: { exact: 'web' } } }, fault: { abort: { httpStatus: 418 } } }] }),
      made('namespace', { rules: [{ match: { source: { namespace: { exact: 'shop' } } }, fault: { abort: { httpStatus: 419 } } }] }),
      made('whole', { rules: [{ match: { source: { id: { suffix: '/sa/c' } } }, fault: { abort: { httpStatus: 420 } } }] }),
    ];
    const envoy = new Envoy();
    envoy.serve(policies);
    const answer = (source?: string): number | undefined => {
      const key = 'connection\0uri_san_peer_certificate';
      if (source === undefined) envoy.process.properties.delete(key);
      else envoy.process.properties.set(key, new TextEncoder().encode(source));
      return envoy.request().replies[0]?.status;
    };
    assert.equal(answer(), undefined);
    assert.equal(answer('spiffe://cluster.local/ns/a/sa/web'), 418);
    assert.equal(answer('spiffe://cluster.local/ns/shop/sa/api'), 419);
    assert.equal(answer('spiffe://cluster.local/ns/a/sa/c'), 420);
    assert.equal(answer('spiffe://cluster.local/ns/shops/sa/webs'), undefined);
  });

  it('sticks to a value: always in or always out, and a higher percentage only adds', () => {
    const hitBy = (percentage: number, seed = 0): Set<number> => {
      const envoy = new Envoy(2);
      const sticky = { header: 'X-User', seed };
      envoy.serve([made('p', { rules: [{ fault: { percentage, sticky, abort: { httpStatus: 418 } } }] })]);
      const users = Array.from({ length: 4000 }, (_, i) => i);
      const hit = users.filter((user) => envoy.request([['x-user', `user-${user}`]]).replies.length === 1);
      for (const user of users.slice(0, 200)) {
        assert.equal(envoy.request([['x-user', `user-${user}`]]).replies.length === 1, hit.includes(user), 'twice the same');
      }
      assert.equal(envoy.request().replies.length, 0, 'no value, no fault');
      return new Set(hit);
    };
    const [few, more, others] = [hitBy(10), hitBy(30), hitBy(10, 1)];
    // Four standard deviations of a binomial of 4,000.
    assert.ok(Math.abs(few.size - 400) < 76 && Math.abs(more.size - 1200) < 116, `${few.size}, ${more.size}`);
    assert.ok([...few].every((user) => more.has(user)));
    assert.ok([...others].filter((user) => few.has(user)).length < 100);
  });
});
