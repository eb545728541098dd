import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../services/control-plane/config.ts';
import { ConfigError } from '../../services/control-plane/environment.ts';

const SECRET = 'a-secret-of-20-chars';
const good = [{ name: 'ops', role: 'admin', token: SECRET }];

describe("the control plane's configuration", () => {
  let folder: string;
  let file: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hfi-config-'));
    file = join(folder, 'tokens.json');
  });
  beforeEach(() => writeFileSync(file, JSON.stringify(good)));
  after(() => rmSync(folder, { recursive: true }));

  const read = (env: Record<string, string> = {}) => readConfig({ HFI_TOKENS_FILE: file, ...env }, import.meta.dirname);

  it('has defaults for all but the tokens', () => {
    const config = read();
    assert.deepEqual([config.listeners, config.etcd.endpoints], [[{ host: '0.0.0.0', port: 8080 }], ['http://127.0.0.1:2379']]);
    assert.deepEqual([config.advertiseUrl, config.logLevel, config.tokens], [undefined, 'info', good]);
  });

  it('reads several endpoints, and an IPv6 address without its brackets', () => {
    const config = read({ HFI_ETCD_ENDPOINTS: 'https://a:1, https://b:2', HFI_LISTEN: '[::1]:0' });
    assert.deepEqual([config.etcd.endpoints, config.listeners], [['https://a:1', 'https://b:2'], [{ host: '::1', port: 0 }]]);
  });

  const refused: [string, string][] = [
    ['HFI_LISTEN', '8080'],
    ['HFI_LISTEN', 'host:65536'],
    ['HFI_ETCD_ENDPOINTS', 'http://a:1,b:2'],
    ['HFI_ADVERTISE_URL', 'ftp://a'],
    ['HFI_LOG_LEVEL', 'INFO'],
    ['HFI_DRAIN_MS', '-1'],
    ['HFI_DRAIN_MS', '1.5'],
    ['HFI_STALE_MS', '999'],
    ['HFI_AUDIT_KEEP_DAYS', '-1'],
    ['HFI_AUDIT_KEEP_ENTRIES', 'many'],
    ['HFI_HISTORY_KEEP_DAYS', 'long'],
    ['HFI_HISTORY_KEEP_RUNS', '-1'],
    ['HFI_AUDIT_KEY_FILE', '/nowhere/audit.key'],
    ['HFI_AUDIT_KEY_FILE', '/dev/null'],
    ['HFI_WRITES_PER_SECOND', '0'],
    ['HFI_TLS_LISTEN', '0.0.0.0:8443'],
    ['HFI_READS_PER_SECOND', '0'],
    ['HFI_POLL_BURST', 'many'],
    ['HFI_TOKENS_FILE', '/nowhere'],
    ['HFI_PROMETHEUS_URL', 'prometheus:9090'],
    ['HFI_PROMETHEUS_URL', 'http://user:secret@prometheus'],
    ['HFI_PROMETHEUS_URL', 'http://prometheus/?dedup=true'],
    // Without the URL.
    ['HFI_PROMETHEUS_INTERVAL_MS', '1000'],
    ['HFI_PROMETHEUS_CA_FILE', '/dev/null'],
  ];
  const refusedWithUrl: [string, string][] = [
    ['HFI_PROMETHEUS_INTERVAL_MS', '99'],
    ['HFI_PROMETHEUS_TIMEOUT_MS', '2s'],
    ['HFI_PROMETHEUS_TOKEN_FILE', '/nowhere/token'],
    ['HFI_PROMETHEUS_CA_FILE', '/nowhere/ca.crt'],
    // The URL has no TLS.
    ['HFI_PROMETHEUS_CA_FILE', '/dev/null'],
  ];
  for (const [name, value] of refusedWithUrl) {
    it(`refuses ${name}=${JSON.stringify(value)} beside a URL and names it`, () => {
      assert.throws(
        () => read({ HFI_PROMETHEUS_URL: 'http://prometheus:9090', [name]: value }),
        (error) => error instanceof ConfigError && error.message.includes(name),
      );
    });
  }

  it('has no Prometheus unless told of one, and then asks it once a second', () => {
    assert.equal(read().prometheus, undefined);
    assert.deepEqual(read({ HFI_PROMETHEUS_URL: 'https://mimir/prometheus', HFI_PROMETHEUS_TOKEN_FILE: file }).prometheus, {
      url: 'https://mimir/prometheus',
      intervalMs: 1000,
      timeoutMs: 2000,
      tokenFile: file,
      caFile: undefined,
    });
  });

  for (const [name, value] of refused) {
    it(`refuses ${name}=${JSON.stringify(value)} and names it`, () => {
      assert.throws(
        () => read({ [name]: value }),
        (error) => error instanceof ConfigError && error.message.includes(name),
      );
    });
  }

  for (const [given, missing] of [
    ['HFI_ETCD_USERNAME', 'HFI_ETCD_PASSWORD'],
    ['HFI_ETCD_PASSWORD', 'HFI_ETCD_USERNAME'],
    ['HFI_ETCD_CERT_FILE', 'HFI_ETCD_KEY_FILE'],
    ['HFI_TLS_KEY_FILE', 'HFI_TLS_CERT_FILE'],
  ] as const) {
    it(`refuses ${given} without ${missing}`, () => {
      assert.throws(() => read({ [given]: 'x' }), new RegExp(`^ConfigError: ${missing} is not set`));
    });
  }

  it('never repeats a password that stands in a URL', () => {
    for (const value of [`http://root:${SECRET}@etcd:2379`, `root:${SECRET}@etcd:2379`, `ftp://root:${SECRET}@etcd`]) {
      for (const name of ['HFI_ETCD_ENDPOINTS', 'HFI_ADVERTISE_URL']) {
        assert.throws(
          () => read({ [name]: value }),
          (error) => error instanceof ConfigError && error.message.includes(name) && !error.message.includes(SECRET),
        );
      }
    }
  });

  const files: [string, string][] = [
    ['no JSON', `{"token": ${SECRET}`],
    ['no list', '{}'],
    ['an empty list', '[]'],
    ['a short token', JSON.stringify([{ ...good[0], token: 'x'.repeat(15) }])],
    ['a token with a space', JSON.stringify([{ ...good[0], token: `${SECRET} ${SECRET}` }])],
    ['a role that is none', JSON.stringify([{ ...good[0], role: 'root' }])],
    ['the same token twice', JSON.stringify([...good, { ...good[0], name: 'dev' }])],
    ['a namespace that is none', JSON.stringify([{ ...good[0], namespaces: ['*'] }])],
    ['no namespace in its list', JSON.stringify([{ ...good[0], namespaces: [] }])],
    ['an unknown field', JSON.stringify([...good, { ...good[0], tokn: SECRET }])],
  ];
  for (const [what, text] of files) {
    it(`refuses a file of tokens with ${what}, without repeating a token`, () => {
      writeFileSync(file, text);
      assert.throws(
        () => read(),
        (error) => error instanceof ConfigError && error.message.includes('HFI_TOKENS_FILE') && !error.message.includes(SECRET),
      );
    });
  }

  it('needs a file of tokens', () => assert.throws(() => readConfig({}, import.meta.dirname), /HFI_TOKENS_FILE/));
});
