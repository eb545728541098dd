import assert from 'node:assert/strict';
import type { Stream } from '../../filter/host/abi.ts';
import { Process } from '../../filter/host/process.ts';
import type { Vm } from '../../filter/host/vm.ts';
import { compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { CONFIGURATION, Envoy, made, PASSED } from './envoy.ts';
import { keyOf, ReportReader, told, UNASKED, UNCOUNTED } from './report-reader.ts';

const abort = { abort: { httpStatus: 503 } };
const at = (path: string) => ({ match: { path: { exact: path } }, fault: abort });

/** Serves one policy, `p`. @returns when it was applied */
function serve(envoy: Envoy, spec: PolicyInput['spec'], name = 'p'): number {
  const appliedAt = Math.round(envoy.now);
  envoy.serve([made(name, spec)], appliedAt);
  envoy.process.advance(1);
  return appliedAt;
}

function send(envoy: Envoy, path: string, times = 1, vm = envoy.vm): void {
  for (let i = 0; i < times; i++) vm.end(envoy.request([[':path', path]], vm));
}

describe('filter: reports', () => {
  it('say who the proxy is, of which epoch, and what was counted of each rule', () => {
    const envoy = new Envoy();
    const appliedAt = serve(envoy, { rules: [at('/a'), at('/b')] });
    send(envoy, '/a', 3);
    send(envoy, '/other');
    envoy.process.advance(1100);
    const [report] = envoy.process.reports;
    assert.ok(report);
    const { 'x-hfi-epoch': epoch, ...headers } = report.headers;
    assert.deepEqual(headers, {
      ':method': 'POST',
      ':path': '/v1/reports',
      ':authority': 'cp',
      'content-type': 'application/json',
      authorization: 'Bearer secret-token',
      'x-hfi-proxy': 'sidecar~127.0.0.1~frontend-v1-0.demo~demo.svc.cluster.local',
      'x-hfi-namespace': 'demo',
      'x-hfi-workload': 'frontend-v1',
      'x-hfi-labels': 'app=frontend',
    });
    assert.match(epoch ?? '', /^[0-9a-f]{16}$/);
    assert.equal(report.cluster, 'hfi-control-plane');
    assert.deepEqual(told(report), { [keyOf('p', 0, appliedAt)]: { injected: 3, abort: 3 } });
  });

  it('say of what change the last answer to a poll spoke, so that no replica takes them that knows less', () => {
    const envoy = new Envoy();
    const appliedAt = Math.round(envoy.now);
    const bytes = compileRuleset([{ policy: made('p', { rules: [at('/a')] }), appliedAt }], appliedAt);
    const call = envoy.poll();
    const headers: [string, string][] = [
      [':status', '200'],
      ['etag', `"${rulesetVersion(bytes)}"`],
      ['x-hfi-time', String(appliedAt)],
      ['x-hfi-revision', '4711'],
    ];
    call.vm.answer(call, headers, bytes);
    send(envoy, '/a');
    envoy.process.advance(1100);
    assert.equal(envoy.process.reports[0]?.headers['x-hfi-revision'], '4711');
  });

  it('come at most once a second, and only when there is something new', () => {
    const envoy = new Envoy(3);
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    let sent = 0;
    for (let i = 0; i < 1000; i++) {
      send(envoy, '/a');
      sent++;
      reader.during(10);
    }
    assert.ok(reader.taken.length >= 9 && reader.taken.length <= 11, `${reader.taken.length} reports in 10 s`);
    reader.during(2000);
    assert.deepEqual(reader.of(keyOf('p', 0, appliedAt)), { injected: sent, abort: sent });
    const puts = (): number[] => [...envoy.process.shared].filter(([key]) => key.startsWith('hfi/t')).map(([, { cas }]) => cas);
    const before = [reader.taken.length, ...puts()];
    reader.during(60_000);
    assert.deepEqual([reader.taken.length, ...puts()], before);
  });

  it('are there within 1.1 s of the request', () => {
    const envoy = new Envoy(3);
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    reader.during(3000);
    const vms = [...envoy.roots.keys()];
    for (let i = 1; i <= 50; i++) {
      reader.during(370);
      send(envoy, '/a', 1, vms[i % 3]);
      reader.during(1100);
      assert.equal(reader.of(keyOf('p', 0, appliedAt)).injected, i);
    }
  });

  it('tell only the rules of which something changed', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a'), at('/b')] });
    send(envoy, '/a', 2);
    reader.during(2000);
    send(envoy, '/b');
    reader.during(2000);
    assert.deepEqual(
      reader.taken.map(({ report }) => told(report)),
      [{ [keyOf('p', 0, appliedAt)]: { injected: 2, abort: 2 } }, { [keyOf('p', 1, appliedAt)]: { injected: 1, abort: 1 } }],
    );
  });

  it('add up what all VMs counted, also those that came later or left', function () {
    this.timeout(20_000);
    const envoy = new Envoy(3);
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    const key = keyOf('p', 0, appliedAt);
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      const vm = envoy.addVm();
      for (const each of envoy.roots.keys()) {
        send(envoy, '/a', 1, each);
        sent++;
      }
      reader.during(round % 3 === 0 ? 1500 : 20);
      // Of the first ones too, so that others lead.
      const [goes] = round % 2 === 0 ? [vm] : envoy.roots.keys();
      assert.ok(goes);
      goes.dropRoot(envoy.roots.get(goes) ?? 0);
      envoy.roots.delete(goes);
      goes.kill();
    }
    reader.during(60_000);
    assert.deepEqual(reader.of(key), { injected: sent, abort: sent });
    const list = envoy.process.shared.get('hfi/t')?.value.length ?? 0;
    assert.ok(list <= 20 * 8, `${list / 8} VMs in the list`);
    for (const { report } of reader.taken) assert.equal(report.headers['x-hfi-epoch'], reader.taken[0]?.report.headers['x-hfi-epoch']);
  });

  it('of a VM whose plugin went and came again count each request once', () => {
    const envoy = new Envoy(20);
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    reader.during(1000);
    const [vm] = [...envoy.roots.keys()].slice(-1);
    assert.ok(vm);
    for (const each of envoy.roots.keys()) send(envoy, '/a', 1, each);
    for (let i = 0; i < 5; i++) {
      send(envoy, '/a', 2, vm);
      vm.dropRoot(envoy.roots.get(vm) ?? 0);
      reader.during(i % 2 === 0 ? 3000 : 10);
      envoy.roots.set(vm, vm.configure(CONFIGURATION));
    }
    reader.during(5000);
    assert.deepEqual(reader.of(keyOf('p', 0, appliedAt)), { injected: 30, abort: 30 });
  });

  it('go on when the VM that sent them is gone without a word', () => {
    const envoy = new Envoy(3);
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    for (const vm of envoy.roots.keys()) send(envoy, '/a', 5, vm);
    reader.during(2000);
    const leader = reader.taken[0]?.report.vm;
    assert.ok(leader);
    leader.kill();
    envoy.roots.delete(leader);
    for (const vm of envoy.roots.keys()) send(envoy, '/a', 5, vm);
    reader.during(8000);
    assert.deepEqual(reader.of(keyOf('p', 0, appliedAt)), { injected: 25, abort: 25 });
  });

  it('of an Envoy that was started again are of another epoch, and begin at 0', () => {
    const epochs = new Set<string | undefined>();
    for (const seed of [1, 2]) {
      const process = new Process();
      for (let i = 0; i < seed; i++) process.entropy();
      const envoy = new Envoy(1, {}, process);
      const reader = new ReportReader(envoy);
      const appliedAt = serve(envoy, { rules: [at('/a')] });
      send(envoy, '/a');
      reader.during(2000);
      assert.equal(reader.of(keyOf('p', 0, appliedAt)).injected, 1);
      epochs.add(reader.taken[0]?.report.headers['x-hfi-epoch']);
    }
    assert.equal(epochs.size, 2);
  });

  it('keep apart what was counted of one run and of the next, while the policy changes under load', function () {
    this.timeout(20_000);
    const envoy = new Envoy(2);
    const reader = new ReportReader(envoy);
    const sent = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const appliedAt = serve(envoy, { rules: [at('/a')], priority: i });
      const [vm, other] = envoy.roots.keys();
      send(envoy, '/a', 2, i % 2 === 0 ? vm : other);
      sent.set(keyOf('p', 0, appliedAt), 2);
      reader.during(490);
    }
    reader.during(3000);
    for (const [key, injected] of sent) assert.deepEqual(reader.of(key), { injected, abort: injected });
    assert.equal(reader.counts.size, sent.size);
    for (const vm of envoy.roots.keys()) {
      assert.ok(vm.exports.memory.buffer.byteLength <= 512 * 1024, `${vm.exports.memory.buffer.byteLength} bytes`);
    }
  });

  it('lose nothing of a worker that puts down its counts later than another, while the policy changes', function () {
    this.timeout(30_000);
    const envoy = new Envoy(2);
    const reader = new ReportReader(envoy);
    const [first, other] = envoy.roots.keys();
    assert.ok(first && other);
    serve(envoy, { rules: [at('/a')] });
    reader.during(1000);
    envoy.process.late.set(first, 70_000_000n);
    const sent = new Map<string, number>();
    for (let i = 0; i < 300; i++) {
      const appliedAt = serve(envoy, { rules: Array.from({ length: 9 }, (_, rule) => at(`/${rule}`)), priority: i });
      for (let k = 0; k < 49; k++) {
        for (const vm of [first, other]) send(envoy, `/${k % 9}`, 1, vm);
        const key = keyOf('p', k % 9, appliedAt);
        sent.set(key, (sent.get(key) ?? 0) + 2);
        reader.during(10);
      }
    }
    reader.during(3000);
    for (const [key, injected] of sent) assert.deepEqual(reader.of(key), { injected, abort: injected });
  });

  it('lose nothing of a request that outlives its rule, however many are counted on another worker meanwhile', function () {
    this.timeout(30_000);
    const envoy = new Envoy(2);
    const reader = new ReportReader(envoy);
    const [first, other] = envoy.roots.keys();
    assert.ok(first && other);
    const appliedAt = serve(envoy, { rules: [{ fault: { response: { status: 418 } } }] });
    const answered = (stream: Stream, vm: Vm): void => {
      vm.response(stream, [[':status', '200']], true);
      vm.end(stream);
    };
    for (let i = 0; i < 3; i++) answered(envoy.request([], first), first);
    const held = envoy.request([], other);
    for (let i = 0; i < 150; i++) {
      serve(envoy, { rules: [at('/a')], priority: i });
      send(envoy, '/a', 1, first);
      reader.during(1000);
    }
    answered(held, other);
    reader.during(3000);
    assert.deepEqual(reader.of(keyOf('p', 0, appliedAt)), { injected: 4, response: 4 });
  });

  it('of more rules than one holds come one after the other, each rule once', function () {
    this.timeout(20_000);
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: Array.from({ length: 300 }, (_, i) => at(`/${i}`)) });
    for (let i = 0; i < 300; i++) send(envoy, `/${i}`, 1 + (i % 3));
    reader.during(1500);
    for (let i = 0; i < 300; i++) assert.equal(reader.of(keyOf('p', i, appliedAt)).injected, 1 + (i % 3));
    const all = reader.taken.flatMap(({ report }) => Object.keys(told(report)));
    assert.equal(all.length, 300);
    for (const { report } of reader.taken) assert.ok(report.body.length <= 16 * 1024);
  });

  it('count what there is no room for by rule together, and lose nothing', function () {
    this.timeout(60_000);
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = Math.round(envoy.now);
    const half = (from: number) => Array.from({ length: 8200 }, (_, i) => at(`/${from + i}`));
    envoy.serve([made('p', { rules: half(0) }), made('q', { rules: half(8200) })], appliedAt);
    envoy.process.advance(1);
    for (let i = 0; i < 16_400; i++) send(envoy, `/${i}`);
    send(envoy, '/3');
    reader.during(3000);
    // 16,384 records, of which two belong to no rule.
    assert.deepEqual(reader.of(UNCOUNTED), { injected: 18, abort: 18 });
    assert.equal(reader.of(keyOf('p', 3, appliedAt)).injected, 2);
    const injected = [...reader.counts.values()].reduce((sum, counts) => sum + (counts.injected ?? 0), 0);
    assert.equal(injected, 16_401);
  });

  it('count requests that lose the dice before they are read for no rule', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [{ fault: { ...abort, percentage: 20 } }] });
    send(envoy, '/a', 1000);
    reader.during(2000);
    const { injected = 0, dice } = reader.of(keyOf('p', 0, appliedAt));
    assert.equal(dice, undefined);
    assert.ok(injected > 100 && injected < 300);
    assert.deepEqual(reader.of(UNASKED), { dice: 1000 - injected });
  });

  for (const status of ['', '503', '401']) {
    it(`are sent again, less and less often, when the answer is ${status === '' ? 'missing' : status}`, () => {
      const envoy = new Envoy();
      const reader = new ReportReader(envoy);
      const appliedAt = serve(envoy, { rules: [at('/a')] });
      send(envoy, '/a');
      reader.during(60_000, status);
      const pauses = reader.taken.slice(1).map(({ at: time }, i) => time - (reader.taken[i]?.at ?? 0));
      assert.ok(pauses.length >= 7 && pauses.length <= 14, `${pauses}`);
      assert.ok(Math.max(...pauses) <= 10_000 && Math.min(...pauses) >= 950, `${pauses}`);
      assert.equal(envoy.metric('reports_failed_total'), reader.taken.length);
      reader.during(10_000);
      assert.deepEqual(reader.of(keyOf('p', 0, appliedAt)), { injected: 1, abort: 1 });
      send(envoy, '/a');
      reader.during(2000);
      assert.equal(reader.of(keyOf('p', 0, appliedAt)).injected, 2);
    });
  }

  it('are sent once a minute to a control plane that does not know them, and disturb nothing', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    serve(envoy, { rules: [at('/a')] });
    for (let i = 0; i < 600; i++) {
      send(envoy, '/a');
      reader.during(1000, '404');
    }
    assert.ok(reader.taken.length >= 9 && reader.taken.length <= 11, `${reader.taken.length} reports in 10 minutes`);
    assert.equal(envoy.metric('connected'), 1);
    assert.equal(envoy.metric('polls_failed_total'), 0);
    assert.ok(!envoy.process.logs.some((line) => line.includes('404')));
  });

  it('are sent again when the host owes an answer for too long', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a')] });
    send(envoy, '/a');
    envoy.process.advance(2000);
    envoy.process.reports.length = 0;
    reader.during(15_000);
    assert.equal(reader.of(keyOf('p', 0, appliedAt)).injected, 1);
  });

  it('tell everything again to a replica that was never heard of, by a report or by a poll, and to a known one only news', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const appliedAt = serve(envoy, { rules: [at('/a'), at('/b')] });
    const [a, b] = [keyOf('p', 0, appliedAt), keyOf('p', 1, appliedAt)];
    send(envoy, '/a');
    send(envoy, '/b');
    reader.during(2000);
    reader.counts.clear();
    const poll = (replica: string): void => {
      const call = envoy.poll(30_000);
      call.vm.answer(call, [
        [':status', '304'],
        ['x-hfi-time', String(Math.round(envoy.now))],
        ['x-hfi-replica', replica],
      ]);
    };
    reader.replica = 'bbbbbbbbbbbbbbbb';
    poll('bbbbbbbbbbbbbbbb');
    reader.during(2000);
    assert.deepEqual([reader.of(a).injected, reader.of(b).injected], [1, 1]);

    reader.counts.clear();
    reader.replica = 'cccccccccccccccc';
    send(envoy, '/a');
    reader.during(2000);
    assert.deepEqual([reader.of(a).injected, reader.of(b).injected], [2, 1], 'the one that is new answers a report');

    reader.counts.clear();
    for (const replica of ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc']) {
      reader.replica = replica;
      send(envoy, '/a');
      reader.during(2000);
    }
    assert.deepEqual([reader.of(a).injected, reader.of(b).injected], [5, undefined]);
  });

  it('do not come before there is something to count, nor from a proxy without rules', () => {
    const envoy = new Envoy();
    serve(envoy, { rules: [at('/a')] });
    send(envoy, '/b', 10);
    envoy.process.advance(10_000);
    envoy.serve([]);
    assert.equal(envoy.request([[':path', '/a']]).action, PASSED);
    envoy.process.advance(10_000);
    assert.deepEqual(envoy.process.reports, []);
  });
});
