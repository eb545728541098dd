import assert from 'node:assert/strict';
import type { Selector } from '../../services/policy/schema.ts';
import { canonicalService, type Identity, selects } from '../../services/policy/selector.ts';

const frontend: Identity = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend', version: 'v1', empty: '' } };

describe('selector', () => {
  const rows: [string, Selector, boolean][] = [
    ['nothing named', {}, true],
    ['stars', { namespace: '*', workload: '*', service: '*' }, true],
    ['all that it is', { namespace: 'demo', workload: 'frontend-v1', service: 'frontend', labels: { version: 'v1' } }, true],
    ['another namespace', { namespace: 'prod' }, false],
    ['another workload', { workload: 'frontend-v2' }, false],
    ['another service', { service: 'backend' }, false],
    ['the workload named as service', { service: 'frontend-v1' }, false],
    ['part of a name', { namespace: 'dem' }, false],
    ['another case', { namespace: 'Demo' }, false],
    ['one label of two that differs', { labels: { app: 'frontend', version: 'v2' } }, false],
    ['a label that it lacks', { labels: { canary: 'yes' } }, false],
    ['a label that is there', { labels: { version: '*' } }, true],
    ['a label that is there and empty', { labels: { empty: '*' } }, true],
    ['a label that must be there and is not', { labels: { canary: '*' } }, false],
    ['no labels', { labels: {} }, true],
    ["a label that only every object's prototype has", { labels: { constructor: '*' } }, false],
  ];
  for (const [what, selector, wanted] of rows) {
    it(`${what}: ${wanted ? 'selects' : 'does not select'}`, () => assert.equal(selects(selector, frontend), wanted));
  }

  it('never names a workload that opted out, and one that did not in so many words', () => {
    const labelled = (value: string) => ({ ...frontend, labels: { ...frontend.labels, 'hfi.dev/faults': value } });
    assert.equal(selects({}, labelled('disabled')), false);
    assert.equal(selects({ labels: { 'hfi.dev/faults': 'disabled' } }, labelled('disabled')), false);
    assert.equal(selects({}, labelled('enabled')), true);
  });
});

describe('canonical service', () => {
  const all = { 'service.istio.io/canonical-name': 'istio', 'app.kubernetes.io/name': 'kube', app: 'app' };
  const rows: [string, Record<string, string>, string][] = [
    ["Istio's label first", all, 'istio'],
    ["then Kubernetes' label", { ...all, 'service.istio.io/canonical-name': '' }, 'kube'],
    ['then app', { app: 'app', other: 'x' }, 'app'],
    ['then the workload', { other: 'x' }, 'w'],
  ];
  for (const [what, labels, wanted] of rows) {
    it(what, () => assert.equal(canonicalService({ namespace: 'n', workload: 'w', labels }), wanted));
  }
});
