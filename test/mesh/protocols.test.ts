import assert from 'node:assert/strict';
import { request } from 'node:http';
import { say, startEcho } from '../support/grpc.ts';
import { send, sendHttp2 } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

describe('mesh: what differs by protocol', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let echo: Awaited<ReturnType<typeof startEcho>>;
  let sidecar: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    echo = await startEcho();
    sidecar = await mesh.sidecar('many', { upstream: { host: '127.0.0.1', port: echo.port, http2: true } });
  });
  after(async () => {
    echo?.stop();
    await mesh?.end();
  });

  it('a header on several lines is one value; :authority and Host are the same over both versions of HTTP', async () => {
    await mesh.apply('headers', {
      selector: { service: 'many' },
      rules: [
        { match: { headers: [{ name: 'X-User', exact: 'two' }] }, fault: { abort: { httpStatus: 506 } } },
        { match: { headers: [{ name: 'X-User', exact: 'one,two' }] }, fault: { abort: { httpStatus: 505 } } },
        { match: { headers: [{ name: ':authority', exact: 'special' }] }, fault: { abort: { httpStatus: 507 } } },
      ],
    });
    assert.equal(await onLines(sidecar.inbound, 'x-user', ['one', 'two']), 505);
    assert.notEqual(await onLines(sidecar.inbound, 'x-user', ['two', 'one']), 506);
    assert.equal((await sendHttp2(sidecar.inbound, { headers: { ':authority': 'special' } })).status, 507);
    assert.equal((await send(sidecar.inbound, { headers: { host: 'special' } })).status, 507);
    await mesh.remove('headers');
  });

  it('10 % of 2,000 gRPC calls, each counted; a delayed abort of one', async () => {
    const address = `127.0.0.1:${new URL(sidecar.inbound).port}`;
    const before = (await sidecar.metric('faults_aborts_total')) ?? 0;
    await mesh.apply('grpc', { selector: { service: 'many' }, rules: [{ fault: { percentage: 10, abort: { grpcStatus: 14 } } }] });
    const codes: number[] = [];
    while (codes.length < 2000)
      codes.push(...(await Promise.all(Array.from({ length: 20 }, () => say(address, 'hello')))).map(({ code }) => code));
    const hits = codes.filter((code) => code === 14).length;
    assert.equal(codes.filter((code) => code === 0).length, 2000 - hits);
    // The 99.9 % interval of a binomial distribution, by its normal approximation (z = 3.29).
    assert.ok(Math.abs(hits - 200) < 3.29 * Math.sqrt(2000 * 0.1 * 0.9), `${hits} hits`);
    assert.equal(await sidecar.metric('faults_aborts_total'), before + hits);
    await mesh.apply('grpc', {
      selector: { service: 'many' },
      rules: [{ fault: { delay: { fixed_delay: '100ms' }, abort: { grpcStatus: 8 } } }],
    });
    const late = await say(address, 'hello');
    assert.equal(late.code, 8);
    assert.ok(late.ms >= 100, `${late.ms} ms`);
    await mesh.remove('grpc');
  });
});

/** Sends each value on a header line of its own; answers with the status. */
function onLines(url: string, name: string, values: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.setHeader(name, values);
    sent.on('error', reject);
    sent.end();
  });
}
