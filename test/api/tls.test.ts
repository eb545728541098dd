import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { hfi } from '../cli/hfi.ts';
import { type CertificateFiles, writeCertificates } from '../support/certificates.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'services', 'control-plane', 'main.ts');

describe('API: over TLS', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  /** Two certificates for this machine, each with an authority of its own, and where the control plane finds the one in force. */
  let first: CertificateFiles;
  let second: CertificateFiles;
  let files: { cert: string; key: string };
  let replica: Replica;
  let port: number;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    first = (await writeCertificates(join(processes.folder, 'first'))).server;
    second = (await writeCertificates(join(processes.folder, 'second'))).server;
    files = { cert: join(processes.folder, 'tls.crt'), key: join(processes.folder, 'tls.key') };
    put(first);
    port = (await freePorts(1))[0] ?? 0;
    replica = await Replica.start(processes, etcd.url, {
      env: { HFI_TLS_CERT_FILE: files.cert, HFI_TLS_KEY_FILE: files.key, HFI_TLS_LISTEN: `127.0.0.1:${port}` },
    });
  });
  after(() => processes.end());

  function put({ cert, key }: CertificateFiles): void {
    copyFileSync(cert, files.cert);
    copyFileSync(key, files.key);
  }

  /** The status of an answer, and the certificate that was shown. */
  function ask(at: number, trusted: CertificateFiles, path = '/v1/status'): Promise<{ status: number; serial: string }> {
    return new Promise((resolve, reject) => {
      const asking = request(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port: at,
          path,
          ca: readFileSync(trusted.ca),
          agent: false,
          headers: { authorization: `Bearer ${TOKENS.viewer}` },
        },
        (answer) => {
          const { serialNumber } = (answer.socket as TLSSocket).getPeerCertificate();
          answer.resume().on('end', () => resolve({ status: answer.statusCode ?? 0, serial: serialNumber }));
        },
      );
      asking.on('error', reject);
      asking.end();
    });
  }

  it('is served beside the plain address, with the certificate that was given', async () => {
    assert.equal((await ask(port, first)).status, 200);
    assert.equal((await replica.ask('GET', '/v1/status')).status, 200);
    await assert.rejects(ask(port, second), /certificate/);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`), 'plain HTTP is no way in');
  });

  it('half a certificate, and one that is none, change nothing and are told once', async () => {
    const before = (await ask(port, first)).serial;
    copyFileSync(second.cert, files.cert);
    await until(() => replica.log.includes('can not be used'), 'it is told', 10_000);
    assert.equal((await ask(port, first)).serial, before);
    const told = replica.log.split('can not be used').length;
    writeFileSync(files.cert, 'no certificate');
    await until(() => replica.log.split('can not be used').length > told, 'the other reason is told', 10_000);
    assert.equal((await ask(port, first)).serial, before);
    put(first);
  });

  it('a new certificate is in force within seconds, without a restart', async () => {
    const before = (await ask(port, first)).serial;
    put(second);
    await until(async () => (await ask(port, second).catch(() => undefined))?.status === 200, 'the new one is in force', 10_000);
    assert.notEqual((await ask(port, second)).serial, before);
    assert.ok(replica.log.includes('a new certificate is in force'));
    assert.ok(!/BEGIN|PRIVATE/.test(replica.log), 'no key is in the log');
    put(first);
    await until(async () => (await ask(port, first).catch(() => undefined))?.status === 200, 'and back', 10_000);
  });

  it('without an address of its own it is for the only one', async () => {
    const [only = 0] = await freePorts(1);
    const tokens = join(processes.folder, 'tokens.json');
    processes.start(process.execPath, [MAIN], undefined, {
      HFI_LISTEN: `127.0.0.1:${only}`,
      HFI_ETCD_ENDPOINTS: etcd.url,
      HFI_TOKENS_FILE: tokens,
      HFI_TLS_CERT_FILE: first.cert,
      HFI_TLS_KEY_FILE: first.key,
    });
    await until(async () => (await ask(only, first).catch(() => undefined))?.status === 200, 'it answers');
    await assert.rejects(fetch(`http://127.0.0.1:${only}/healthz`));
  });

  it('hfi trusts what NODE_EXTRA_CA_CERTS names, and says so when it does not trust', async () => {
    const env = { HFI_CONTROL_PLANE_ADDR: `https://localhost:${port}`, HFI_TOKEN: TOKENS.viewer };
    const trusting = await hfi(['policy', 'list'], { env: { ...env, NODE_EXTRA_CA_CERTS: first.ca } });
    assert.equal(trusting.code, 0, trusting.stderr);
    const { code, stderr } = await hfi(['policy', 'list'], { env });
    assert.equal(code, 3);
    assert.match(stderr, /its certificate is not trusted .*NODE_EXTRA_CA_CERTS/);
    assert.ok(!stderr.includes(TOKENS.viewer));
  });

  it('is refused at the start with files that do not go together', () => {
    const env = { HFI_TOKENS_FILE: join(processes.folder, 'tokens.json'), HFI_TLS_CERT_FILE: first.cert, HFI_TLS_KEY_FILE: second.key };
    const { status, stderr } = spawnSync(process.execPath, [MAIN], { env: { ...process.env, ...env }, encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /HFI_TLS_CERT_FILE and HFI_TLS_KEY_FILE can not be used/);
  });
});
