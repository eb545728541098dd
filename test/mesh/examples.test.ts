import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { send, sendHttp2, sendMany, statuses } from '../support/load.ts';
import { SandboxPlace } from '../support/sandbox.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples');

interface Demo {
  readonly frontend: string;
  readonly backend: string;
}

/** What `examples/README.md` promises of each file. */
const SHOWS: Readonly<Record<string, (demo: Demo) => Promise<void>>> = {
  'abort-policy.yaml': async ({ frontend, backend }) => {
    const reply = await send(frontend);
    assert.deepEqual([reply.status, reply.body, reply.headers['x-hfi-fault']], [503, 'injected by abort-frontend\n', 'abort-frontend/0']);
    assert.equal((await send(backend)).status, 200);
  },
  'delay-policy.yaml': async ({ frontend, backend }) => {
    const [direct, through] = await Promise.all([send(backend), send(frontend)]);
    assert.deepEqual([direct.status, through.status], [200, 200]);
    assert.ok(direct.ms >= 2000 && direct.ms < 2500, `${direct.ms} ms`);
    assert.ok(through.ms >= 2000);
  },
  'percentage-policy.yaml': async ({ backend }) => {
    const hits = statuses(await sendMany(backend, 1000, 8))[500] ?? 0;
    // The 99.9 % interval of a binomial distribution, by its normal approximation (z = 3.29).
    assert.ok(Math.abs(hits - 250) < 3.29 * Math.sqrt(1000 * 0.25 * 0.75), `${hits} of 1000`);
  },
  'header-policy.yaml': async ({ frontend }) => {
    const hit = await send(frontend, { headers: { 'x-test-run': 'chaos-7' } });
    assert.deepEqual([hit.status, hit.headers['retry-after']], [429, '30']);
    assert.equal((await send(frontend)).status, 200);
  },
  'service-targeted-policy.yaml': async ({ frontend }) => {
    const reply = await send(frontend);
    assert.equal(reply.status, 502);
    const { backend } = JSON.parse(reply.body) as { backend: { status: number; tries: number } };
    assert.deepEqual([backend.status, backend.tries], [503, 2]);
    assert.equal((await send(`${frontend}/healthz`)).status, 200);
  },
  'time-limited-policy.yaml': async ({ frontend }) => {
    assert.equal((await send(frontend)).status, 503);
  },
  'late-stage-policy.yaml': async ({ frontend }) => {
    const reply = await send(frontend);
    assert.equal(reply.status, 504);
    assert.ok(reply.ms >= 800 && reply.ms < 1200, `${reply.ms} ms`);
  },
  'delayed-timed-policy.yaml': async ({ backend }) => {
    const answers = await sendMany(backend, 60, 20);
    const hits = answers.filter(({ status }) => status === 503);
    assert.ok(hits.length > 10 && hits.length < 50, `${hits.length} of 60`);
    assert.ok(hits.every(({ ms }) => ms >= 500));
  },
  'lost-answer-policy.yaml': async ({ frontend, backend }) => {
    assert.equal((await send(backend)).status, 0);
    assert.equal((await send(frontend)).status, 502);
  },
  'slow-tail-policy.yaml': async ({ backend }) => {
    const times = (await sendMany(backend, 300, 20)).map(({ ms }) => ms).sort((a, b) => a - b);
    assert.ok((times[15] ?? 0) < 20, `5th percentile ${times[15]} ms`);
    assert.ok((times[290] ?? 0) > 100, `97th percentile ${times[290]} ms`);
  },
  'broken-answer-policy.yaml': async ({ frontend }) => {
    const lengthOf = async (user: string): Promise<number> => (await send(frontend, { headers: { cookie: `beta=${user}` } })).body.length;
    const [ann, bob] = [await lengthOf('ann'), await lengthOf('bob')];
    assert.ok((ann === 10) !== (bob === 10), `${ann} and ${bob} bytes`);
    assert.deepEqual([await lengthOf('ann'), await lengthOf('bob')], [ann, bob]);
  },
  'first-hundred-policy.yaml': async ({ backend }) => {
    const answered = statuses(await sendMany(backend, 120, 4));
    assert.deepEqual([answered[503], answered[200]], [100, 20]);
  },
  'wrong-version-policy.yaml': async ({ backend }) => {
    const pathOf = async (path: string): Promise<string> => (JSON.parse((await send(`${backend}${path}`)).body) as { path: string }).path;
    assert.deepEqual([await pathOf('/v1/items?page=1'), await pathOf('/v3/items')], ['/v2/items', '/v3/items']);
  },
  'canary-user-policy.yaml': async ({ frontend }) => {
    const canary = { 'x-user': 'canary' };
    assert.equal((await send(frontend, { headers: canary })).status, 500);
    assert.equal((await send(frontend)).status, 200);
    assert.equal((await send(`${frontend}/healthz`, { headers: canary })).status, 200);
  },
  'grpc-policy.yaml': async ({ backend }) => {
    const reply = await sendHttp2(`${backend}/demo.Greeter/SayHello`, { method: 'POST', headers: { 'content-type': 'application/grpc' } });
    assert.deepEqual([reply.status, reply.headers['grpc-status'], reply.headers['grpc-message']], [200, '8', 'quota used up']);
  },
};

describe('examples, in the sandbox, by the CLI', function () {
  this.timeout(60_000);
  let place: SandboxPlace;
  let demo: Demo;

  before(async () => {
    place = await SandboxPlace.make();
    const up = await place.hfi(['sandbox', 'up', '--detach', ...place.upFlags]);
    assert.equal(up.code, 0, up.stderr);
    const [, frontend, backend] = place.ports;
    demo = { frontend: `http://127.0.0.1:${frontend}`, backend: `http://127.0.0.1:${backend}` };
  });
  after(() => place?.close());

  it('every file has its test', () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
    assert.deepEqual(files.sort(), Object.keys(SHOWS).sort());
  });

  for (const [file, shows] of Object.entries(SHOWS)) {
    it(`${file} shows what it says, and is gone after its delete`, async () => {
      const path = join(EXAMPLES, file);
      const applied = await place.hfi(['policy', 'apply', '-f', path, '--wait']);
      assert.equal(applied.code, 0, applied.stderr);
      assert.match(applied.stdout, /^policy\/[a-z0-9-]+ created\n$/);
      await shows(demo);
      const deleted = await place.hfi(['policy', 'delete', '-f', path, '--yes', '--wait']);
      assert.equal(deleted.code, 0, deleted.stderr);
      assert.deepEqual(statuses(await sendMany(demo.frontend, 20, 4)), { 200: 20 });
    });
  }
});
