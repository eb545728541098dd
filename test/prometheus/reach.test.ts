import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { HttpPrometheus } from '../../services/control-plane/stop-conditions/prometheus.ts';
import { type CertificateFiles, writeCertificates } from '../support/certificates.ts';
import { Processes, until } from '../support/processes.ts';
import { MetricsPage, Prometheus } from '../support/prometheus.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

describe('Prometheus: the way to it', function () {
  this.timeout(60_000);
  let processes: Processes;
  let prometheus: Prometheus;

  before(async () => {
    processes = await Processes.begin();
    prometheus = await Prometheus.start(processes, []);
  });
  after(async () => {
    for (const line of lines) line.close();
    page?.close();
    await processes.end();
  });

  let page: MetricsPage | undefined;
  const lines: TcpProxy[] = [];
  const newLine = async (): Promise<TcpProxy> => {
    const line = await TcpProxy.start(prometheus.port);
    lines.push(line);
    return line;
  };

  const to = (url: string, more: { tokenFile?: string; caFile?: string; timeoutMs?: number } = {}) =>
    new HttpPrometheus({ url, intervalMs: 1000, timeoutMs: 1000, tokenFile: undefined, caFile: undefined, ...more });

  it('takes a query with whatever characters it has', async () => {
    const query = 'label_replace(vector(7), "a", "ä&=+%\\n", "", "")';
    assert.deepEqual(await to(prometheus.url).ask(query), { kind: 'samples', values: [7] });
  });

  it('gives up after the time-out, and asks over a new connection when the line is back', async () => {
    const line = await newLine();
    const asked = to(`http://127.0.0.1:${line.port}`, { timeoutMs: 300 });
    assert.equal((await asked.ask('vector(1)')).kind, 'samples');
    line.stall('both');
    const began = performance.now();
    assert.deepEqual(await asked.ask('vector(1)'), { kind: 'none', why: 'Prometheus can not be asked (no answer within 300 ms)' });
    assert.ok(performance.now() - began < 600);
    line.pass();
    assert.equal((await asked.ask('vector(1)')).kind, 'samples');
  });

  it('an answer that is cut off in the middle is none', async () => {
    const line = await newLine();
    const asked = to(`http://127.0.0.1:${line.port}`);
    line.alter((bytes) => bytes.subarray(0, bytes.length - 5));
    assert.equal((await asked.ask('vector(1)')).kind, 'none');
  });

  it('an answer of more than a mebibyte is none', async () => {
    page = await MetricsPage.start();
    page.text = Array.from({ length: 8000 }, (_, i) => `many{name="${'x'.repeat(100)}${i}"} 1\n`).join('');
    const many = await Prometheus.start(processes, [{ name: 'many', targets: [page.target] }]);
    await until(async () => (await many.query('count(many)'))[0] === 8000, 'all are there');
    const answer = await to(many.url).ask('many');
    assert.deepEqual(answer, { kind: 'none', why: 'Prometheus can not be asked (the answer is longer than 1048576 bytes)' });
    assert.equal((await to(many.url).ask('count(many)')).kind, 'samples');
  });

  describe('over TLS', () => {
    let files: CertificateFiles;
    let secured: Prometheus;

    before(async () => {
      ({ server: files } = await writeCertificates(processes.folder));
      secured = await Prometheus.start(
        processes,
        [],
        JSON.stringify({ tls_server_config: { cert_file: files.cert, key_file: files.key } }),
      );
    });

    it('trusts the authority that it is told of, and no other', async () => {
      const url = `https://localhost:${secured.port}`;
      await until(async () => (await to(url, { caFile: files.ca }).ask('vector(3)')).kind === 'samples', 'it answers');
      assert.deepEqual(await to(url, { caFile: files.ca }).ask('vector(3)'), { kind: 'samples', values: [3] });
      const untrusted = await to(url).ask('vector(3)');
      assert.ok(untrusted.kind === 'none');
      assert.match(untrusted.why, /SELF_SIGNED|UNABLE_TO/);
    });
  });

  describe('behind something that asks for a token', () => {
    /** Lets through to the real Prometheus who has the token. */
    let gate: Server;
    let token = 'first-token';

    before(async () => {
      gate = createServer((request, response) => {
        if (request.headers.authorization !== `Bearer ${token}`) {
          response.writeHead(401).end('who are you');
          return;
        }
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', async () => {
          const path = (request.url ?? '').replace(/^\/tenant/, '');
          const answer = await fetch(`${prometheus.url}${path}`, {
            method: 'POST',
            headers: { 'content-type': request.headers['content-type'] ?? '' },
            body: Buffer.concat(parts),
          });
          response.writeHead(answer.status).end(await answer.text());
        });
      });
      await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
    });
    after(() => {
      gate.closeAllConnections();
      gate.close();
    });

    it('sends the one of the file, also after it was changed, and keeps the path of the URL', async () => {
      const url = `http://127.0.0.1:${(gate.address() as AddressInfo).port}/tenant`;
      const tokenFile = join(processes.folder, 'prometheus-token');
      writeFileSync(tokenFile, `${token}\n`);
      const asked = to(url, { tokenFile });
      assert.equal((await asked.ask('vector(1)')).kind, 'samples');
      token = 'second-token';
      assert.deepEqual(await asked.ask('vector(1)'), { kind: 'none', why: 'Prometheus answered 401' });
      writeFileSync(tokenFile, token);
      assert.equal((await asked.ask('vector(1)')).kind, 'samples');
      assert.equal(readFileSync(tokenFile, 'utf8'), token);
      assert.deepEqual(await to(url).ask('vector(1)'), { kind: 'none', why: 'Prometheus answered 401' });
    });
  });
});
