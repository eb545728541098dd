import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { TOKENS } from '../support/control-plane.ts';
import { until } from '../support/processes.ts';
import { ROOT } from './hfi.ts';
import { policyText, Stack } from './stack.ts';

/** `hfi status --watch`, as it runs. */
class Watching {
  text = '';
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(command: string, args: readonly string[], url: string) {
    this.child = spawn(command, args, {
      env: { ...process.env, HFI_CONFIG: join(ROOT, 'no', 'config.json'), HFI_CONTROL_PLANE_ADDR: url, HFI_TOKEN: TOKENS.viewer },
    });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.text += bytes.toString();
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.text += bytes.toString();
    });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }
}

describe('hfi status --watch', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  after(() => stack.end());

  const entry = join(ROOT, 'bin', 'hfi.js');

  it('without a terminal writes what happens, one a line, and with -o json as JSON', async () => {
    const lines = new Watching(process.execPath, [entry, 'status', '--watch'], stack.server.url);
    const json = new Watching(process.execPath, [entry, 'status', '-w', '-o', 'json'], stack.server.url);
    // A change made before they listen is not theirs.
    await until(async () => {
      await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('seen') });
      await stack.hfi(['policy', 'delete', 'seen', '--yes']);
      return [lines, json].every(({ text }) => text.includes('policy/seen is gone'));
    }, 'both have told');
    assert.match(lines.text, /^\d{4}-\d\d-\d\dT\S+Z {2}policy\/seen is there, without an end$/m);
    const [first] = json.text.split('\n');
    assert.equal((JSON.parse(first ?? '') as { policy: string }).policy, 'seen');
    for (const { child } of [lines, json]) child.kill('SIGINT');
    await Promise.all([lines.ended, json.ended]);
  });

  it('on a terminal draws one screen over the other, without clearing it, and gives the terminal back', async () => {
    // Whatever the shell, none stays in between that Ctrl-C would end.
    const command = `exec '${process.execPath}' '${entry}' status --watch`;
    const watching = new Watching('script', ['--quiet', '--return', '--command', command, '/dev/null'], stack.server.url);
    await until(async () => watching.text.includes('Ctrl-C ends this.'), 'the first screen');
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('drawn') });
    await until(async () => /drawn +active/.test(watching.text) && watching.text.includes('policy/drawn is there'), 'the change is drawn');
    assert.ok(!watching.text.includes('\u001b[2J'), 'clearing the screen is a flicker');
    assert.ok(watching.text.startsWith('\u001b[?1049h'), watching.text.slice(0, 40));
    // As the terminal does at Ctrl-C.
    watching.child.stdin?.write('\u0003');
    assert.equal(await watching.ended, 0);
    assert.ok(watching.text.endsWith('\u001b[?25h\u001b[?1049l'), JSON.stringify(watching.text.slice(-60)));
  });

  it('is over at once, with the reason, when the token is unknown', async () => {
    const { code, stderr } = await stack.hfi(['status', '--watch'], { env: { HFI_TOKEN: 'nobody-has-this-token' } });
    assert.equal(code, 5);
    assert.match(stderr, /token is not known/);
  });

  it('is over with exit code 3 when the control plane goes away, without a terminal', async () => {
    const watching = new Watching(process.execPath, [entry, 'status', '--watch'], stack.server.url);
    await until(async () => {
      await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('last') });
      await stack.hfi(['policy', 'delete', 'last', '--yes']);
      return watching.text.includes('policy/last');
    }, 'it listens');
    await stack.server.kill();
    assert.equal(await watching.ended, 3);
    assert.match(watching.text, /error: The control plane at http:\S+ can not be reached \(ECONNRESET\)/);
  });
});
