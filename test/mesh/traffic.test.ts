import assert from 'node:assert/strict';
import { hfi } from '../cli/hfi.ts';
import { TOKENS } from '../support/control-plane.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';
import { Traffic } from '../support/traffic.ts';

/** A poll is held for a third of it: so proxies tell each six seconds. */
const LEASE_MS = 18_000;

interface Told {
  readonly name: string;
  readonly requestsPerSecond: { readonly inbound: number; readonly outbound: number } | null;
}

describe('mesh: how many requests come by', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let proxy: Sidecar;
  let client: Traffic;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    proxy = await mesh.sidecar('busy', { leaseMs: LEASE_MS, concurrency: 2 });
    client = new Traffic(`${proxy.inbound}/busy`, 4, 20);
  });
  after(async () => {
    await client.stop();
    await mesh.end();
  });

  const told = async (): Promise<Told | undefined> => {
    const { body } = await mesh.replica.ask('GET', '/v1/proxies');
    return (body.items as Told[]).find(({ name }) => name.includes('busy'));
  };
  const dryRun = async (spec: object): Promise<Record<string, unknown>> => {
    const { body } = await mesh.replica.ask('PUT', '/v1/policies/would?dryRun=true', { body: { metadata: { name: 'would' }, spec } });
    return body.traffic as Record<string, unknown>;
  };
  const abort = { abort: { httpStatus: 503 } };

  it('is not known in the beginning, and a dry run says so', async () => {
    assert.equal((await told())?.requestsPerSecond, null);
    assert.deepEqual(await dryRun({ rules: [{ fault: abort }] }), { requestsPerSecond: 0, mostHitPerSecond: 0, untold: 1 });
  });

  it('is told by a proxy without a rule, and counted in its metrics', async () => {
    const sent = (): number => [...client.statuses.values()].reduce((sum, count) => sum + count, 0);
    await until(async () => (await told())?.requestsPerSecond != null, 'two polls have told', 20_000);
    const [before, begun] = [sent(), performance.now()];
    const first = (await told())?.requestsPerSecond?.inbound;
    // The next poll tells of the time since the one before.
    await until(async () => (await told())?.requestsPerSecond?.inbound !== first, 'the next poll has told', 20_000);
    await until(() => performance.now() - begun > 6000, 'the time is over', 10_000);
    const real = (sent() - before) / ((performance.now() - begun) / 1000);
    const { inbound, outbound } = (await told())?.requestsPerSecond ?? { inbound: 0, outbound: -1 };
    assert.ok(Math.abs(inbound / real - 1) < 0.25, `${inbound} a second, and the client sent ${real}`);
    assert.equal(outbound, 0);
    const counted = (await proxy.metric('requests_inbound_total')) ?? 0;
    assert.ok(counted > 0 && counted <= sent() + 4, `${counted} of ${sent()}`);
  });

  it('says in a dry run how many a second a policy would hit, at most', async () => {
    const whole = await dryRun({ rules: [{ fault: abort }] });
    assert.equal(whole.untold, 0);
    assert.equal(whole.mostHitPerSecond, whole.requestsPerSecond);
    assert.ok((whole.requestsPerSecond as number) > 20);
    const tenth = await dryRun({ rules: [{ fault: { ...abort, percentage: 5 } }, { fault: { ...abort, percentage: 10 } }] });
    assert.ok(Math.abs((tenth.mostHitPerSecond as number) * 10 - (tenth.requestsPerSecond as number)) < 0.1, JSON.stringify(tenth));
    assert.equal((await dryRun({ mode: 'shadow', rules: [{ fault: abort }] })).mostHitPerSecond, 0);
    assert.equal((await dryRun({ direction: 'outbound', rules: [{ fault: abort }] })).requestsPerSecond, 0);
  });

  it('is said by hfi policy apply --dry-run', async () => {
    const text = `metadata: {name: would}\nspec: {rules: [{fault: {percentage: 50, abort: {httpStatus: 503}}}]}\n`;
    const env = { HFI_CONTROL_PLANE_ADDR: mesh.replica.url, HFI_TOKEN: TOKENS.admin };
    const { stderr, code } = await hfi(['policy', 'apply', '-f', '-', '--dry-run'], { env, stdin: text });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^ {2}about \d+ requests a second came by there lately, at most \d+ of them would be hit$/m);
  });
});
