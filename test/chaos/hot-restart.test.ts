import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { send } from '../support/load.ts';
import { Mesh } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

/** What an Envoy that ends may not have told. */
const UNTOLD_MS = 1500;

describe('chaos: Envoy hot restarted', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh?.end());

  it('twice under traffic: no request is lost, the next one faults from its first ruleset on, and counts add up', async () => {
    const sidecar = await mesh.sidecar('hot', { hotRestart: true });
    await mesh.apply('hot', { selector: { service: 'hot' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    const seen: { status: number; at: number }[] = [];
    let going = true;
    const traffic = (async () => {
      while (going) {
        const at = performance.now();
        seen.push({ status: (await send(sidecar.inbound)).status, at });
        await sleep(5);
      }
    })();
    const restarts: number[] = [];
    for (let i = 0; i < 2; i++) {
      await sleep(500);
      restarts.push(performance.now());
      await sidecar.hotRestart();
      await until(async () => (await sidecar.metric('connected')) === 1, 'the next one polls');
    }
    await sleep(500);
    going = false;
    await traffic;

    const hit = seen.filter(({ status }) => status === 503);
    const passed = seen.filter(({ status }) => status === 200);
    assert.equal(hit.length + passed.length, seen.length, `lost: ${seen.filter(({ status }) => status === 0).length}`);
    // Until its first ruleset is there, an Envoy lets requests pass.
    for (const [i, from] of restarts.entries()) {
      const next = restarts[i + 1] ?? Number.POSITIVE_INFINITY;
      const late = passed.filter(({ at }) => at >= from && at < next);
      const first = late[0]?.at ?? 0;
      assert.ok(
        late.every(({ at }) => at - first < 1000),
        `passed for ${Math.round((late.at(-1)?.at ?? 0) - first)} ms`,
      );
    }
    const counted = async () => {
      const { total } = (await mesh.replica.ask('GET', '/v1/policies/hot/counts')).body as { total: { injected: number } };
      return total.injected;
    };
    // At most what was hit while the one before was ending is not told.
    const perMs = seen.length / (performance.now() - (seen[0]?.at ?? 0));
    const told = hit.length - Math.ceil(restarts.length * UNTOLD_MS * perMs);
    await until(async () => (await counted()) >= told, `${told} of ${hit.length} are counted`, 5000);
    assert.ok((await counted()) <= hit.length, `${await counted()} of ${hit.length}: more than there were`);
    process.stdout.write(`    ${hit.length} hit, ${await counted()} counted, ${passed.length} passed while an Envoy had no ruleset yet\n`);
  });
});
