import assert from 'node:assert/strict';
import { nearMisses } from '../../services/policy/near-miss.ts';

const frontend = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend', tier: 'web' } };
const backend = { namespace: 'demo', workload: 'backend-v2', labels: { app: 'backend' } };
const other = { namespace: 'shop', workload: 'cart', labels: {} };
const all = [frontend, backend, other];

describe('what a selector that names nothing may have meant', () => {
  for (const [what, selector, expected] of [
    ['names a workload', { service: 'frontend' }, []],
    ['names every workload', {}, []],
    ['a service with a typing error', { service: 'fronted' }, ['service "fronted" matches no proxy; did you mean "frontend"?']],
    ['a namespace like no other', { namespace: 'production' }, ['namespace "production" matches no proxy; there are demo, shop']],
    [
      'two parts that fit nothing',
      { namespace: 'dmo', workload: 'Cart_', service: 'cart' },
      ['namespace "dmo" matches no proxy; did you mean "demo"?', 'workload "Cart_" matches no proxy; did you mean "cart"?'],
    ],
    [
      'parts of two workloads',
      { namespace: 'shop', service: 'frontend' },
      ['namespace "shop" and service "frontend" each match proxies, but no proxy matches both'],
    ],
    ['a label with another value', { labels: { tier: 'wep' } }, ['label tier "wep" matches no proxy; did you mean "web"?']],
    ['a label that nobody has', { labels: { constructor: 'x' } }, ['label constructor "x" matches no proxy']],
    ['a label that anything would do for', { labels: { nobody: '*' } }, ['label nobody "*" matches no proxy']],
  ] as const) {
    it(what, () => {
      assert.deepEqual(nearMisses(selector, all), expected);
    });
  }

  it('is not said when there is nothing to compare with', () => {
    assert.deepEqual(nearMisses({ service: 'fronted' }, []), []);
  });

  it('names the label of workloads that keep all faults away', () => {
    const away = { ...frontend, labels: { app: 'frontend', 'hfi.dev/faults': 'disabled' } };
    assert.deepEqual(nearMisses({ service: 'frontend' }, [away, backend]), [
      'every proxy that it names has the label hfi.dev/faults: disabled, which keeps all faults away',
    ]);
  });

  it('lists eight names at most', () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ namespace: `ns-${i + 10}-with-a-long-name`, workload: 'w', labels: {} }));
    assert.match(nearMisses({ namespace: 'x' }, many)[0] ?? '', /; there are (ns-\d\d-with-a-long-name,? ){8}and 12 more$/);
  });
});
