import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';
import { hfi, type Setting } from './hfi.ts';
import { misfits } from './schemas.ts';
import { policyText } from './stack.ts';

const RAILS = `
maxPercentage: 50
maxDuration: 1h
maxInjectionsPerSecond: 500
forbiddenPaths: [/healthz, { prefix: /internal/, ignoreCase: true }]
hours: [{ days: [mon, tue, wed, thu, fri, sat, sun], zone: Europe/Berlin }]
namespaces:
  demo: { maxProxies: 3, maxDuration: null }
  shop: {}
`;

describe('hfi and guardrails', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let server: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    const file = join(processes.folder, 'guardrails.yaml');
    writeFileSync(file, RAILS);
    server = await Replica.start(processes, etcd.url, { env: { HFI_GUARDRAILS_FILE: file } });
  });
  after(() => processes.end());

  const run = (args: readonly string[], setting: Setting = {}, at = server) =>
    hfi(args, { ...setting, env: { HFI_CONTROL_PLANE_ADDR: at.url, HFI_TOKEN: TOKENS.editor } });

  it('shows what is in force', async () => {
    const { code, stdout, stderr } = await run(['guardrails']);
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      `${[
        'WHERE         GUARDRAIL               LIMIT',
        'in each       hours                   mon,tue,wed,thu,fri,sat,sun 00:00-24:00 Europe/Berlin',
        'in each       maxPercentage           50',
        'in each       maxDuration             1h',
        'in each       requireEnd              true',
        'in each       forbiddenPaths          /healthz; prefix /internal/ in any case',
        'all together  maxInjectionsPerSecond  500',
        'demo          maxDuration             lifted',
        'demo          maxProxies              3',
        'shop          -                       allowed',
        'elsewhere     namespaces              nothing is allowed',
      ].join('\n')}\n`,
    );
    const json = await run(['guardrails', '-o', 'json']);
    assert.deepEqual(misfits('guardrails', JSON.parse(json.stdout)), []);
  });

  it('shows that none are set, and what is closed all the same', async () => {
    const plain = await Replica.start(processes, etcd.url);
    const { code, stdout, stderr } = await run(['guardrails'], {}, plain);
    assert.deepEqual([code, stderr], [0, 'No guardrails are set.\n']);
    assert.match(stdout, /^kube-\* +system +nothing is allowed$/m);
  });

  it('apply tells each field that goes beyond, at its line, with the value and the limit, and applies nothing', async () => {
    const fine = policyText('fine', '{ abort: { httpStatus: 503 }, percentage: 50, duration_seconds: 60 }');
    const wrong = policyText('wrong', '{ abort: { httpStatus: 503 }, percentage: 60 }');
    const { code, stdout, stderr } = await run(['policy', 'apply', '-f', '-'], { stdin: `${fine}---\n${wrong}` });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /not valid; nothing was applied:/);
    assert.match(stderr, /:\d+:\d+: spec\.rules\[0\]\.fault\.percentage: is 60; the guardrail maxPercentage allows 50/);
    assert.match(stderr, /spec\.rules\[0\]\.fault\.duration_seconds: gives the rule no end; the guardrail requireEnd wants one/);
    assert.equal((await server.ask('GET', '/v1/policies/fine')).status, 404, 'the other one of the file neither');
    const dry = await run(['policy', 'apply', '-f', '-', '--dry-run'], { stdin: wrong });
    assert.equal(dry.code, 1);
  });

  it('apply and describe say for which proxies it is', async () => {
    for (const name of ['a', 'b']) await server.poll({ name, namespace: 'demo' });
    const text = policyText('few', '{ abort: { httpStatus: 503 }, percentage: 50, duration_seconds: 60 }');
    const { code, stderr } = await run(['policy', 'apply', '-f', '-'], { stdin: text });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /By the guardrails it is for 2 of 2 connected proxies that it selects/);
    const described = await run(['policy', 'describe', 'few']);
    assert.match(described.stdout, /^Proxies +\d of 2 run it, and it is for no others \(hfi guardrails\)$/m);
    assert.deepEqual(misfits('policy-describe', JSON.parse((await run(['policy', 'describe', 'few', '-o', 'json'])).stdout)), []);
    for (const name of ['c', 'd']) await server.poll({ name, namespace: 'demo' });
    const again = await run(['policy', 'apply', '-f', '-'], { stdin: text });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /spec\.selector: selects 4 connected proxies; the guardrail maxProxies allows 3/);
  });
});
