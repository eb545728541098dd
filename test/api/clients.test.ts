import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const CLIENTS = 50;
const READERS = 20;

describe('API: slow clients', () => {
  let processes: Processes;
  let replica: Replica;
  let sockets: Socket[] = [];

  before(async function () {
    this.timeout(30_000);
    processes = await Processes.begin();
    replica = await Replica.start(processes, (await Etcd.start(processes)).url);
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
  });
  after(() => processes.end());

  const open = () => {
    const socket = connect(replica.port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };

  const answeredInTime = async () => {
    const begun = performance.now();
    assert.equal((await replica.ask('GET', '/v1/status')).status, 200);
    assert.ok(performance.now() - begun < 500, `${Math.round(performance.now() - begun)} ms`);
  };

  it('that send a byte now and then hold up nobody, and get their answer', async function () {
    this.timeout(20_000);
    const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };
    const answers = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, i) => {
        const body = JSON.stringify({ metadata: { name: `slow-${i}` }, spec });
        const socket = open();
        let answer = '';
        socket.on('data', (bytes) => {
          answer += bytes;
        });
        socket.write(
          `PUT /v1/policies/slow-${i} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKENS.admin}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
        );
        for (const byte of body) {
          socket.write(byte);
          await sleep(20);
          if (i === 0 && Math.random() < 0.2) await answeredInTime();
        }
        await until(async () => answer !== '', 'an answer');
        return answer.split('\r\n')[0];
      }),
    );
    assert.deepEqual(new Set(answers), new Set(['HTTP/1.1 201 Created']));
  });

  it('that ask and never read hold up nobody, and what waits for them goes with them', async function () {
    this.timeout(30_000);
    const spec = { rules: [{ fault: { abort: { httpStatus: 503, body: 'x'.repeat(60_000) } } }] };
    for (let i = 0; i < 20; i++) assert.equal((await replica.put(`big-${i}`, spec)).status, 201);
    const page = (await replica.ask('GET', '/v1/policies?limit=100')).text.length;
    for (let i = 0; i < READERS; i++) {
      const socket = open();
      socket.pause();
      socket.write(`GET /v1/policies?limit=100 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKENS.viewer}\r\n\r\n`);
    }
    // Making so many pages is work; what is tested is that nothing waits for their readers.
    await until(async () => (await lines(replica)) >= READERS, 'they are all there');
    await replica.ask('GET', '/v1/policies?limit=100');
    for (let i = 0; i < 10; i++) {
      await sleep(100);
      await answeredInTime();
    }
    assert.ok(page > 1_000_000, `a page has ${page} bytes`);
    for (const socket of sockets) socket.destroy();
    await until(async () => (await lines(replica)) <= 5, 'the lines are closed', 5000);
    await answeredInTime();
  });
});

/** Connections that the replica has open. */
async function lines(replica: Replica): Promise<number> {
  const { text } = await replica.ask('GET', '/metrics', { role: 'none' });
  return Number(/nodejs_active_resources\{type="TCPSocketWrap"\} (\d+)/.exec(text)?.[1]);
}
