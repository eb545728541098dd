import assert from 'node:assert/strict';
import { misfits } from '../cli/schemas.ts';
import { Stack } from '../cli/stack.ts';
import { Processes, until } from '../support/processes.ts';
import { Prometheus } from '../support/prometheus.ts';

describe('Prometheus: hfi policy describe', function () {
  this.timeout(60_000);
  let stack: Stack;
  let prometheus: Prometheus;
  let processes: Processes;

  before(async () => {
    processes = await Processes.begin();
    prometheus = await Prometheus.start(processes, []);
    stack = await Stack.start({ HFI_PROMETHEUS_URL: prometheus.url });
  });
  after(async () => {
    await stack.end();
    await processes.end();
  });

  const policy = (name: string, stopWhen: string): string =>
    `metadata: {name: ${name}}\nspec:\n  selector: {namespace: nobody}\n  stopWhen: ${stopWhen}\n  rules: [{fault: {abort: {httpStatus: 503}}}]\n`;

  const apply = (name: string, stopWhen: string) =>
    stack.hfi(['policy', 'apply', '-f', stack.file(`${name}.yaml`, policy(name, stopWhen))]);

  it('shows each condition, its value, when it was asked for and by which replica', async () => {
    const stopWhen =
      '[{injected: 9}, {prometheus: vector(0.01), above: 0.05, for: 30s}, {prometheus: vector(2), above: 1, for: 1h, onNoData: ignore}, {prometheus: absent(vector(1)), below: 1, for: 1h}]';
    const applied = await apply('shown', stopWhen);
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stderr, /warning: .*spec\.stopWhen\[2\]\.prometheus is 2 now, above 1: the policy ends when it stays so for 1h\./);
    let lines: string[] = [];
    await until(async () => {
      lines = (await stack.hfi(['policy', 'describe', 'shown'])).stdout.split('\n');
      return lines.filter((line) => line.includes('evaluated')).length === 3 && !lines.some((line) => line.includes('not evaluated'));
    }, 'they are evaluated');
    const [first = '', ...more] = lines.slice(lines.findIndex((line) => line.startsWith('Stops')));
    const evaluated = /, evaluated \d+\.\ds ago by replica-\d+$/;
    assert.equal(first, 'Stops      when 9 requests are hit');
    assert.match(more[0] ?? '', /^ {11}or prometheus: vector\(0\.01\) is above 0\.05 or has no data for 30s; now 0\.01, evaluated/);
    assert.match(more[1] ?? '', /^ {11}or prometheus: vector\(2\) is above 1 for 1h; now 2, for \d+\.\ds already, evaluated/);
    assert.match(more[2] ?? '', /; now no data \(the answer has no sample\), for \d+\.\ds already, evaluated/);
    for (const line of more.slice(0, 3)) assert.match(line, evaluated);
    const { stdout } = await stack.hfi(['policy', 'describe', 'shown', '--output', 'json']);
    assert.deepEqual(misfits('policy-describe', JSON.parse(stdout)), []);
  });

  it('and after the end, why it ended', async () => {
    await apply('stops', '[{prometheus: vector(0.12), above: 0.05, for: 0s}]');
    await until(async () => /ended/.test((await stack.hfi(['policy', 'describe', 'stops'])).stdout.split('\n')[0] ?? ''), 'it has ended');
    const { stdout } = await stack.hfi(['policy', 'describe', 'stops']);
    assert.match(stdout, /^Ended {6}.*stopped.*prometheus: vector\(0\.12\) was 0\.12, above 0\.05 for 0s/m);
    assert.match(stdout, /^Stops {6}when prometheus: vector\(0\.12\) is above 0\.05 or has no data for 0s; not evaluated now$/m);
  });

  it('a query that Prometheus refuses ends the command as any wrong field does', async () => {
    const { code, stderr } = await apply('bad', '[{prometheus: "sum(", above: 0.05}]');
    assert.notEqual(code, 0);
    assert.match(stderr, /spec\.stopWhen\[0\]\.prometheus: is refused by Prometheus: .*parse error/);
  });
});
