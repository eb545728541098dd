import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';
import { Prometheus } from '../support/prometheus.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const fault = { abort: { httpStatus: 503 } };
const FOR_MS = 2000;
/** The bar: between the condition and the last injection at most `for`, one interval and this. */
const SLACK_MS = 250;
const INTERVAL_MS = 1000;

describe('Prometheus: from a condition to the last injection', function () {
  this.timeout(120_000);
  let mesh: Mesh;
  let prometheus: Prometheus;
  let line: TcpProxy;
  let sidecar: Sidecar;

  before(async () => {
    const processes = await Processes.begin();
    prometheus = await Prometheus.start(processes, []);
    line = await TcpProxy.start(prometheus.port);
    mesh = await Mesh.start(processes, { HFI_PROMETHEUS_URL: `http://127.0.0.1:${line.port}` });
    sidecar = await mesh.sidecar('frontend');
  });
  after(async () => {
    line.close();
    await mesh.end();
  });

  /** Sends requests without a break until none was hit for a while; the moments of the last hit and of the first request after it, by the wall clock: it ended between them. */
  async function lastHit(quietMs: number, giveUpMs: number): Promise<{ last: number; passed: number }> {
    let [last, passed] = [0, 0];
    for (const began = Date.now(); Date.now() < began + giveUpMs && (last === 0 || Date.now() < last + quietMs); ) {
      const { status } = await fetch(sidecar.inbound);
      if (status === 503) [last, passed] = [Date.now(), 0];
      else if (passed === 0) passed = Date.now();
      await sleep(2);
    }
    return { last, passed };
  }

  const end = async (name: string): Promise<{ reason: string; why: string }> => {
    const status = async () =>
      (await mesh.replica.ask('GET', `/v1/policies/${name}`)).body.status as { end: { reason: string; why: string } | null };
    await until(async () => (await status()).end !== null, 'the end is written');
    const { end: found } = await status();
    assert.ok(found);
    return found;
  };

  it('no request is hit later than `for`, one interval and 250 ms after a condition began to hold', async () => {
    const late: number[] = [];
    const over: number[] = [];
    for (const round of [0, 1, 2, 3, 4]) {
      const name = `round-${round}`;
      // The condition begins at a moment that Prometheus itself tells: anywhere between two evaluations.
      const holdsFrom = Date.now() + 1700 + round * 190;
      const stopWhen = [{ prometheus: 'time()', above: holdsFrom / 1000, for: `${FOR_MS}ms` }];
      await mesh.apply(name, { rules: [{ fault }], stopWhen });
      const { last, passed } = await lastHit(1500, 10_000);
      late.push(last - holdsFrom);
      over.push(passed - holdsFrom);
      const { reason, why } = await end(name);
      assert.equal(reason, 'stopped');
      assert.match(why, /^prometheus: time\(\) was [0-9.]+, above [0-9.]+ for 2000ms$/);
    }
    process.stdout.write(`      last hit, ms after the condition began to hold (for ${FOR_MS} ms): ${late.join(', ')}\n`);
    for (const ms of late) assert.ok(ms <= FOR_MS + INTERVAL_MS + SLACK_MS, `${ms} ms`);
    for (const ms of over) assert.ok(ms >= FOR_MS - 50, `it ended before its time, after ${ms} ms`);
  });

  for (const [how, breakIt] of [
    ['cut off', () => line.cut()],
    ['stalled', () => line.stall('to-client')],
  ] as const) {
    it(`nor later than that after Prometheus is ${how}`, async () => {
      await mesh.apply(`unreachable-${how.replace(' ', '-')}`, {
        rules: [{ fault }],
        stopWhen: [{ prometheus: 'vector(1)', above: 5, for: `${FOR_MS}ms` }],
      });
      await sleep(300);
      assert.equal((await fetch(sidecar.inbound)).status, 503);
      const broken = Date.now();
      breakIt();
      const { last, passed } = await lastHit(1500, 10_000);
      const late = last - broken;
      line.pass();
      process.stdout.write(`      last hit, ms after Prometheus was ${how}: ${late}\n`);
      assert.ok(late <= FOR_MS + INTERVAL_MS + SLACK_MS, `${late} ms`);
      assert.ok(passed - broken >= FOR_MS - INTERVAL_MS, `${passed - broken} ms`);
      const { why } = await end(`unreachable-${how.replace(' ', '-')}`);
      assert.match(why, /^prometheus: vector\(1\) gave no data for 2000ms: Prometheus can not be asked \(.+\)$/);
    });
  }

  it("of the proxy's own metrics: it ends when so many requests were hit as Prometheus has scraped", async () => {
    await prometheus.restart([{ name: 'envoy', targets: [new URL(sidecar.admin).host], path: '/stats/prometheus' }]);
    const aborts = 'sum(wasmcustom_hfi_faults_aborts_total)';
    await until(async () => (await prometheus.query(aborts)).length === 1, 'Prometheus knows how many were hit');
    const [before = 0] = await prometheus.query(aborts);
    await mesh.apply('own-metrics', {
      rules: [{ fault }],
      stopWhen: [{ prometheus: aborts, above: before + 50, for: '1s', onNoData: 'ignore' }],
    });
    for (let i = 0; i < 40; i++) assert.equal((await fetch(sidecar.inbound)).status, 503);
    await sleep(3000);
    assert.equal((await fetch(sidecar.inbound)).status, 503);
    for (let i = 0; i < 10; i++) assert.equal((await fetch(sidecar.inbound)).status, 503);
    const reached = Date.now();
    const late = (await lastHit(1500, 10_000)).last - reached;
    // Scraped four times a second.
    assert.ok(late <= 1000 + INTERVAL_MS + SLACK_MS + 500, `${late} ms`);
    assert.match((await end('own-metrics')).why, /^prometheus: sum\(wasmcustom_hfi_faults_aborts_total\) was \d+, above \d+ for 1s$/);
    assert.equal((await fetch(sidecar.inbound)).status, 200);
  });
});
