import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { extract } from 'tar';
import { buildBundle } from '../../build/bundle.ts';
import { buildControlPlane } from '../../build/control-plane.ts';
import { buildFilter } from '../../build/filter.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

describe('control plane: the bundle', () => {
  let processes: Processes;
  let bundle: string;

  // Built anew, and far from node_modules: nothing that is needed may be missing in it.
  before(async function () {
    this.timeout(30_000);
    processes = await Processes.begin();
    bundle = join(processes.folder, 'dist', 'control-plane', 'main.cjs');
    await buildControlPlane(bundle);
  });
  after(() => processes.end());

  it('has the whole document, the page of it, and keeps a policy', async function () {
    this.timeout(60_000);
    const etcd = await Etcd.start(processes);
    const [bundled, source] = await Promise.all([
      Replica.start(processes, etcd.url, { program: bundle }),
      Replica.start(processes, etcd.url),
    ]);
    assert.deepEqual((await bundled.ask('GET', '/openapi.json')).body, (await source.ask('GET', '/openapi.json')).body);
    assert.match((await bundled.ask('GET', '/docs')).text, /\/v1\/policies/);
    assert.equal((await bundled.put('kept', { rules: [{ fault: { abort: { httpStatus: 503 } } }] })).status, 201);
    assert.equal((await source.ask('GET', '/v1/policies/kept')).status, 200);
  });

  it('explains by the filter that lies beside it, and says that it can not where there is none', async function () {
    this.timeout(60_000);
    const etcd = await Etcd.start(processes);
    const programs = join(processes.folder, 'programs');
    mkdirSync(programs);
    await extract({ file: await buildBundle(join(processes.folder, 'bundle.tgz')), cwd: programs });
    const [whole, alone] = await Promise.all([
      Replica.start(processes, etcd.url, { program: join(programs, 'control-plane', 'main.cjs') }),
      Replica.start(processes, etcd.url, { program: bundle }),
    ]);
    const body = { proxy: { namespace: 'demo' } };
    const { filter } = (await whole.ask('POST', '/v1/explain', { body })).body as { filter: { sha256: string } };
    assert.equal(filter.sha256, (await buildFilter()).sha256);
    const { status, body: problem } = await alone.ask('POST', '/v1/explain', { body });
    assert.deepEqual([status, problem.code], [503, 'no-filter']);
  });

  for (const [variable, value, says] of [
    ['HFI_LISTEN', 'nonsense', /HFI_LISTEN is "nonsense"; it must be host:port/],
    ['HFI_TOKENS_FILE', '/nowhere/tokens.json', /HFI_TOKENS_FILE can not be read/],
    ['HFI_LOG_LEVEL', 'loud', /HFI_LOG_LEVEL is "loud"; it must be one of trace, debug/],
    ['HFI_FILTER_FILE', '/nowhere/plugin.wasm', /HFI_FILTER_FILE is "\/nowhere\/plugin\.wasm"; there is no such file/],
    ['HFI_ETCD_ENDPOINTS', 'localhost:2379', /HFI_ETCD_ENDPOINTS has "localhost:2379"; it must be a URL/],
  ] as const) {
    it(`says what is wrong with ${variable}, and ends with 2`, () => {
      const tokens = join(processes.folder, 'tokens.json');
      writeFileSync(tokens, JSON.stringify([{ name: 'a', role: 'admin', token: 'a'.repeat(16) }]));
      const env = { ...process.env, HFI_TOKENS_FILE: tokens, [variable]: value };
      const ended = spawnSync(process.execPath, [bundle], { env, encoding: 'utf8' });
      assert.equal(ended.status, 2);
      assert.match(ended.stderr, says);
    });
  }
});
