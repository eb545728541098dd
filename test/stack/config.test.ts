import assert from 'node:assert/strict';
import { RunError } from '@pulumi/pulumi';
import { meshNamespaces, readStackConfig } from '../../components/config.ts';

const read = (config: Record<string, unknown>) =>
  readStackConfig(
    Object.fromEntries(Object.entries(config).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)])),
    'hfi',
  );

describe('stack configuration', () => {
  const refused: [string, unknown, RegExp][] = [
    ['hfi:systemNamespace', 'Boifi', /hfi:systemNamespace: must be a DNS label/],
    ['hfi:systemNamespace', 'a'.repeat(64), /hfi:systemNamespace: .* at most 63/],
    ['hfi:mesh', { lease: '4999ms' }, /hfi:mesh\.lease: must be a duration from 5s to 1h/],
    ['hfi:mesh', { lease: '3600001ms' }, /hfi:mesh\.lease: .* from 5s to 1h/],
    ['hfi:mesh', { maxDelayedRequests: -1 }, /hfi:mesh\.maxDelayedRequests: must be at least 0/],
    ['hfi:mesh', { maxDelayedRequests: 100_001 }, /hfi:mesh\.maxDelayedRequests: must be at most 100000/],
    ['hfi:mesh', { namespaces: ['boifi'] }, /hfi:mesh\.namespaces: has the system namespace boifi/],
    ['hfi:mesh', { namespaces: ['a', 'a'] }, /hfi:mesh\.namespaces: names a namespace twice/],
    ['hfi:mesh', { namespaces: 'shop' }, /hfi:mesh\.namespaces: must be a list, not text/],
    ['hfi:mesh', { namespace: ['shop'] }, /hfi:mesh\.namespace: is no field here\. Did you mean namespaces\? There are: namespaces, /],
    ['hfi:mesh', 'shop', /hfi:mesh: must be an object, not text/],
    ['hfi:etcd', { members: 2 }, /hfi:etcd\.members: must be 1 or 3\./],
    ['hfi:etcd', { storage: '2 GB' }, /hfi:etcd\.storage: must be an amount of bytes such as 512Mi/],
    ['hfi:etcd', { backup: { keep: 0 } }, /hfi:etcd\.backup\.keep: must be at least 1/],
    ['hfi:etcd', { backup: { storage: '1' } }, /hfi:etcd\.backup\.storage: must be an amount of bytes/],
    ['hfi:etcd', { backup: { enabled: 'no' } }, /hfi:etcd\.backup\.enabled: must be /],
    ['hfi:etcd', { backup: { scedule: '@daily' } }, /hfi:etcd\.backup\.scedule: is no field here\. Did you mean schedule\?/],
    ['hfi:etcd', { external: { endpoints: [] } }, /hfi:etcd\.external\.endpoints: must have at least 1 entry/],
    ['hfi:etcd', { external: { endpoints: ['etcd:2379'] } }, /hfi:etcd\.external\.endpoints\[0\]: must be a URL such as https:/],
    ['hfi:controlPlane', { replicas: 0 }, /hfi:controlPlane\.replicas: must be at least 1/],
    ['hfi:controlPlane', { logLevel: 'infos' }, /hfi:controlPlane\.logLevel: must be .*Did you mean info\?/],
    ['hfi:controlPlane', { tls: {} }, /hfi:controlPlane\.tls\.secret: is missing/],
    ['hfi:controlPlane', { inMesh: 'yes' }, /hfi:controlPlane\.inMesh: must be true or false/],
    ['hfi:controlPlane', { tokenReview: { roles: [] } }, /hfi:controlPlane\.tokenReview\.roles: must have at least 1 entry/],
    [
      'hfi:controlPlane',
      { tokenReview: { roles: [{ role: 'admin' }] } },
      /roles\[0\]: needs exactly one of user, group and serviceAccount/,
    ],
    [
      'hfi:controlPlane',
      { tokenReview: { roles: [{ user: 'a', role: 'admin', namespaces: 'all' }] } },
      /roles\[0\]\.namespaces: must be a list of namespaces, or own/,
    ],
    ['hfi:controlPlane', { prometheus: { url: 'prometheus:9090' } }, /hfi:controlPlane\.prometheus\.url: must be a URL such as http:/],
    ['hfi:controlPlane', { prometheus: { url: 'http://a:b@prometheus' } }, /hfi:controlPlane\.prometheus\.url: must have no login/],
    [
      'hfi:controlPlane',
      { prometheus: { url: 'http://p', interval: '1ms' } },
      /prometheus\.interval: must be a duration from 100ms to 60s/,
    ],
    ['hfi:controlPlane', { telemetry: { url: 'grpc://collector' } }, /hfi:controlPlane\.telemetry\.url: must be a URL such as http:/],
    ['hfi:controlPlane', { prometheus: { url: 'http://p', caSecret: 's' } }, /prometheus\.caSecret: goes only with an https URL/],
    ['hfi:demo', { namespace: 'boifi' }, /hfi:mesh\.namespaces: has the system namespace/],
    ['hfi:readyWithin', '2h', /hfi:readyWithin: must be a duration from 10s to 1h/],
    ['hfi:lease', '60s', /hfi:lease has moved: set mesh\.lease/],
    ['hfi:mesh', { lease: 60 }, /hfi:mesh\.lease: must be a duration from 5s to 1h/],
    ['hfi:mesh', { namespaces: ['istio-system'] }, /hfi:mesh\.namespaces\[0\]: must not be the cluster's own/],
    ['hfi:systemNamespace', 'kube-system', /hfi:systemNamespace: must not be the cluster's own/],
    ['hfi:demo', { namespace: 'default' }, /hfi:demo\.namespace: must be a namespace of its own/],
    ['hfi:monitoring', { enabled: 'yes' }, /hfi:monitoring\.enabled: must be true, false or auto/],
    ['hfi:monitoring', { labels: { release: 1 } }, /hfi:monitoring\.labels\.release: must be text: put it in quotation marks/],
    ['hfi:images', { node: 'docker.io/library/node:latest' }, /hfi:images\.node: must have an exact tag/],
    ['hfi:images', { etcd: 'registry.example:5000/etcd' }, /hfi:images\.etcd: must be a name with an exact tag/],
    ['hfi:images', { mirror: 'https://mirror.example' }, /hfi:images\.mirror: must be a registry, .* without https/],
    ['hfi:mash', {}, /hfi:mash: is no field here\. Did you mean mesh\? There are: systemNamespace, /],
  ];
  for (const [key, value, message] of refused) {
    it(`refuses ${key} = ${JSON.stringify(value).slice(0, 40)}`, () => assert.throws(() => read({ [key]: value }), message));
  }

  for (const schedule of [
    '',
    'daily',
    '@reboot',
    '@every 1h',
    '3 17',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
  ]) {
    it(`refuses the schedule "${schedule}"`, () => {
      assert.throws(() => read({ 'hfi:etcd': { backup: { schedule } } }), /hfi:etcd\.backup\.schedule: must be a schedule of five fields/);
    });
  }

  for (const schedule of [
    '* * * * 7',
    '5-1 * * * *',
    '*/0 * * * *',
    '1,,2 * * * *',
    '* * jan * *',
    '-1 * * * *',
    '1- * * * *',
    'TZ=UTC 0 0 * * *',
  ]) {
    it(`refuses the schedule "${schedule}"`, () => {
      assert.throws(() => read({ 'hfi:etcd': { backup: { schedule } } }), /hfi:etcd\.backup\.schedule: must be a schedule/);
    });
  }

  for (const schedule of ['17 3 * * *', '@daily', '*/5 0-23/2 1,15 JAN-mar ?', '59 23 31 12 6', '0 0 1 1 0', '5/10 * * * mon-fri']) {
    it(`takes the schedule "${schedule}"`, () =>
      assert.equal(read({ 'hfi:etcd': { backup: { schedule } } }).etcd.backup.schedule, schedule));
  }

  it('has defaults for everything', () => {
    const config = read({});
    assert.deepEqual([config.systemNamespace, config.mesh.lease, config.readyWithin], ['boifi', 60_000, 600_000]);
    assert.deepEqual([config.etcd.members, config.controlPlane.replicas, config.demo.enabled], [1, 2, true]);
    assert.deepEqual(config.etcd.backup, { enabled: true, schedule: '17 3 * * *', keep: 7, storage: '2Gi' });
    assert.deepEqual(meshNamespaces(config), ['demo']);
  });

  it('takes what is at the limits', () => {
    assert.equal(read({ 'hfi:mesh': { lease: '5s' } }).mesh.lease, 5000);
    assert.equal(read({ 'hfi:mesh': { lease: '1h', maxDelayedRequests: 0 } }).mesh.lease, 3_600_000);
    assert.equal(read({ 'hfi:systemNamespace': '1' }).systemNamespace, '1');
    assert.equal(read({ 'hfi:rotation': '2' }).rotation, '2');
  });

  it('counts a namespace once, whoever names it', () => {
    assert.deepEqual(meshNamespaces(read({ 'hfi:mesh': { namespaces: ['shop', 'demo'] } })), ['demo', 'shop']);
    assert.deepEqual(meshNamespaces(read({ 'hfi:mesh': { namespaces: ['shop'] }, 'hfi:demo': { enabled: false } })), ['shop']);
  });

  it('names every wrong key at once, and hides the stack trace', () => {
    assert.throws(
      () => read({ 'hfi:mesh': { lease: 'x' }, 'hfi:etcd': { members: 5 }, 'hfi:z': '' }),
      (error) => RunError.isInstance(error) && ['hfi:mesh.lease', 'hfi:etcd.members', 'hfi:z'].every((key) => error.message.includes(key)),
    );
  });

  it("leaves other namespaces' settings alone", () => {
    assert.doesNotThrow(() => readStackConfig({ 'kubernetes:context': 'kind', 'pulumi:tags': '{}' }, 'hfi'));
  });
});
