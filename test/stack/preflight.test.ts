import assert from 'node:assert/strict';
import { type ClusterFacts, older, tagOf } from '../../components/cluster-facts.ts';
import { readStackConfig } from '../../components/config.ts';
import { obstacles } from '../../components/preflight.ts';

const OWNER = 'hfi/dev';

const resources = (there: { istio: boolean; operator: boolean }): Map<string, boolean> =>
  new Map([
    ['wasmplugins.extensions.istio.io', there.istio],
    ['envoyfilters.networking.istio.io', there.istio],
    ['podmonitors.monitoring.coreos.com', there.operator],
    ['prometheusrules.monitoring.coreos.com', there.operator],
  ]);

const facts = (more: Partial<ClusterFacts> = {}): ClusterFacts => ({
  version: 'v1.37.2',
  namespaces: new Map(),
  resources: resources({ istio: true, operator: false }),
  istio: '1.31.0',
  storageClasses: [{ name: 'standard', isDefault: true }],
  forbidden: [],
  ...more,
});

const config = (settings: Record<string, unknown> = {}) =>
  readStackConfig(Object.fromEntries(Object.entries(settings).map(([key, value]) => [`hfi:${key}`, JSON.stringify(value)])), 'hfi');

const namespace = (more: object = {}) => ({ owner: undefined, ending: false, labels: {}, ...more });

describe('what stands in the way of an installation', () => {
  it('is nothing in a cluster that has all', () => assert.deepEqual(obstacles(config(), facts(), OWNER), []));

  it('is nothing for a stack that is there already', () => {
    const own = namespace({ owner: OWNER });
    assert.deepEqual(
      obstacles(
        config(),
        facts({
          namespaces: new Map([
            ['boifi', own],
            ['demo', own],
          ]),
        }),
        OWNER,
      ),
      [],
    );
  });

  const cases: [what: string, config: Record<string, unknown>, facts: Partial<ClusterFacts>, says: RegExp][] = [
    ['an old Kubernetes', {}, { version: 'v1.23.17-eks-1' }, /^The cluster is Kubernetes v1\.23\.17-eks-1; HFI needs 1\.24/],
    ['no Istio', {}, { resources: resources({ istio: false, operator: false }) }, /^Istio is not there: .*wasmplugins/],
    ['an old Istio', {}, { istio: '1.23.5' }, /^Istio is 1\.23\.5; HFI needs 1\.24/],
    [
      'a namespace of others',
      {},
      { namespaces: new Map([['boifi', namespace()]]) },
      /^Namespace boifi .* not made by HFI.*systemNamespace/,
    ],
    [
      "another stack's namespace",
      {},
      { namespaces: new Map([['demo', namespace({ owner: 'hfi/prod' })]]) },
      /^Namespace demo .* that of the stack hfi\/prod.*demo\.namespace/,
    ],
    [
      'a namespace that is still going',
      {},
      { namespaces: new Map([['boifi', namespace({ owner: OWNER, ending: true })]]) },
      /^Namespace boifi is still being deleted/,
    ],
    ['a mesh namespace that is not there', { mesh: { namespaces: ['shop'] } }, {}, /^mesh\.namespaces names shop, which is not there/],
    [
      'a mesh namespace without sidecars',
      { mesh: { namespaces: ['shop'] } },
      { namespaces: new Map([['shop', namespace()]]) },
      /^Namespace shop gets no sidecars: label it istio-injection=enabled/,
    ],
    [
      'an ambient namespace',
      { mesh: { namespaces: ['shop'] } },
      { namespaces: new Map([['shop', namespace({ labels: { 'istio.io/dataplane-mode': 'ambient' } })]]) },
      /^Namespace shop is in Istio's ambient mode/,
    ],
    ['no default StorageClass', {}, { storageClasses: [{ name: 'slow', isDefault: false }] }, /no default StorageClass.*there are: slow/],
    ['no StorageClass at all', {}, { storageClasses: [] }, /no default StorageClass.*there are: none/],
    ['a StorageClass that is not there', { etcd: { storageClass: 'fast' } }, {}, /^etcd\.storageClass is fast.*there are: standard/],
    ['missing rights', {}, { forbidden: ['namespaces', 'secrets'] }, /^You may not create namespaces, secrets/],
    ['no Prometheus operator', { monitoring: { enabled: true } }, {}, /needs the Prometheus operator: .*podmonitors.*prometheusrules/],
  ];
  for (const [what, settings, more, says] of cases) {
    it(`names ${what}`, () => {
      const found = obstacles(config(settings), facts(more), OWNER);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', says);
    });
  }

  it('wants no StorageClass when etcd is there already', () => {
    const external = { etcd: { external: { endpoints: ['https://e:1'] } } };
    assert.deepEqual(obstacles(config(external), facts({ storageClasses: [] }), OWNER), []);
  });

  it('is not what may not be seen', () => {
    const asked = config({ monitoring: { enabled: true }, mesh: { metricsFilter: true } });
    assert.deepEqual(obstacles(asked, facts({ resources: new Map() }), OWNER), []);
  });

  it('names everything at once', () => {
    assert.equal(
      obstacles(
        config(),
        facts({ version: 'v1.20.0', resources: resources({ istio: false, operator: false }), storageClasses: [], forbidden: ['secrets'] }),
        OWNER,
      ).length,
      4,
    );
  });

  for (const [version, least, is] of [
    ['v1.24.0', '1.24', false],
    ['v1.9.0', '1.24', true],
    ['1.31-alpha.abc', '1.24', false],
    ['latest', '1.24', false],
    ['v2.0.0', '1.24', false],
  ] as const) {
    it(`${version} is ${is ? '' : 'not '}older than ${least}`, () => assert.equal(older(version, least), is));
  }
});

describe("stack: Istio's version", () => {
  for (const [image, tag] of [
    ['docker.io/istio/pilot:1.24.1', '1.24.1'],
    ['registry:5000/istio/pilot:1.24.1-distroless@sha256:0a1b', '1.24.1-distroless'],
    ['registry:5000/istio/pilot@sha256:0a1b', undefined],
    [undefined, undefined],
  ] as const) {
    it(`of ${image} is ${tag}`, () => assert.equal(tagOf(image), tag));
  }
});
