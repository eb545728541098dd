import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { Processes, until } from '../support/processes.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'services', 'demo', 'backend.ts');
/** Node closes a connection that was idle for five seconds, and looks for such each second or so. */
const IDLE_MS = 7000;

describe('the demo', function () {
  this.timeout(30_000);
  let processes: Processes;

  before(async () => {
    processes = await Processes.begin();
  });
  after(() => processes.end());

  it('leaves it to the proxy before it to close a connection', async () => {
    const [port = 0] = await freePorts(1);
    processes.start(process.execPath, [PROGRAM], undefined, { PORT: String(port) });
    await until(async () => (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok === true, 'it answers');
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    let closed = false;
    socket.on('data', (text) => {
      heard += String(text);
    });
    socket.on('close', () => {
      closed = true;
    });
    const answers = (): number => heard.split('HTTP/1.1 200').length - 1;
    for (const wanted of [1, 2]) {
      socket.write('GET / HTTP/1.1\r\nhost: demo\r\n\r\n');
      await until(() => answers() === wanted, 'it answers');
      if (wanted === 1) await sleep(IDLE_MS);
      assert.equal(closed, false);
    }
    socket.destroy();
  });
});
