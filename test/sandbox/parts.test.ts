import assert from 'node:assert/strict';
import { bootstrap, type Sidecar } from '../../cli/sandbox/bootstrap.ts';
import { crashSafe, parseVersion, tooOld } from '../../cli/sandbox/versions.ts';
import { explain } from '../../cli/sandbox/wheels.ts';

describe('versions', () => {
  for (const [version, safe] of Object.entries({
    '3.4.19': false,
    '3.4.20': true,
    '3.5.0': false,
    '3.5.2': false,
    '3.5.3': true,
    '3.6.0': true,
  })) {
    it(`etcd ${version} is ${safe ? '' : 'not '}crash safe`, () => assert.equal(crashSafe(version), safe));
  }
  it('are read from what the programs print', () => {
    assert.equal(
      parseVersion('envoy', 'envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL'),
      '1.40.0',
    );
    assert.equal(parseVersion('etcd', 'etcd Version: 3.5.1\nGit SHA: e8732fb5f'), '3.5.1');
    assert.equal(parseVersion('etcd', 'usage'), undefined);
  });
  it('an Envoy before 1.36 is too old', () => {
    assert.match(tooOld('envoy', '1.35.9') ?? '', /1\.36/);
    assert.equal(tooOld('envoy', '1.36.0'), undefined);
  });
});

describe('why pip failed', () => {
  const rows: [string, number | null, string, RegExp][] = [
    ['no python3', null, '', /no python3 on the PATH/],
    ['no pip', 1, '/usr/bin/python3: No module named pip', /has no pip/],
    [
      'no network',
      1,
      'WARNING: Retrying (Retry(total=1)) after connection broken by NewConnectionError\nERROR: No matching distribution',
      /can't reach/,
    ],
    ['another hash', 1, 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE', /another hash/],
    ['anything else', 1, 'first\nlast words', /\(last words\)/],
  ];
  for (const [name, code, output, sentence] of rows) {
    it(name, () => {
      assert.match(explain('envoy', code, output), sentence);
      assert.match(explain('envoy', code, output), /HFI_ENVOY/);
    });
  }
});

describe('bootstrap', () => {
  const sidecar: Sidecar = {
    name: 'frontend',
    namespace: 'demo',
    workload: 'frontend-v1',
    labels: { app: 'frontend', version: 'v1' },
    adminPort: 1,
    inbound: { port: 2, upstream: { host: '127.0.0.1', port: 3 } },
    outbound: { port: 4, upstream: { host: '127.0.0.1', port: 5 } },
    controlPlane: { host: '127.0.0.1', port: 6, token: 'the-proxies-token' },
    filter: '/plugin.wasm',
    leaseMs: 60_000,
    accessLog: '/dev/null',
  };
  it('gives each listener its direction, in Envoy and in the filter', () => {
    const text = JSON.stringify(bootstrap(sidecar));
    const directions = [...text.matchAll(/"traffic_direction":"(\w+)"/g)].map((match) => match[1]);
    assert.deepEqual(directions, ['INBOUND', 'OUTBOUND']);
    const own = [...text.matchAll(/\\"direction\\":\\"(\w+)\\"/g)].map((match) => match[1]);
    assert.deepEqual(own, ['inbound', 'outbound']);
  });
  it('names the node as Istio does', () => {
    assert.match(JSON.stringify(bootstrap(sidecar)), /"id":"sidecar~127\.0\.0\.1~frontend-v1-0\.demo~demo\.svc\.cluster\.local"/);
  });
  it('is the same proxy without the filter', () => {
    const text = JSON.stringify(bootstrap({ ...sidecar, filter: undefined }));
    assert.ok(!text.includes('wasm.v3') && !text.includes('the-proxies-token'));
  });
});
