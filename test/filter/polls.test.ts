import assert from 'node:assert/strict';
import { LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { Process } from '../../filter/host/process.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { ABORT, Envoy, HIT, PASSED } from './envoy.ts';

describe('filter: polls', () => {
  it('says who the proxy is and what it runs', () => {
    const process = new Process({ labels: { app: 'frontend', version: 'v1' } });
    const envoy = new Envoy(1, {}, process);
    const first = envoy.poll();
    assert.equal(first.cluster, 'hfi-control-plane');
    assert.equal(first.timeoutMs, 25_000);
    assert.deepEqual(
      { ...first.headers },
      {
        ':method': 'GET',
        ':path': '/v1/ruleset',
        ':authority': 'cp',
        authorization: 'Bearer secret-token',
        prefer: 'wait=20',
        'x-hfi-requests': '0;0',
        'x-hfi-proxy': 'sidecar~127.0.0.1~frontend-v1-0.demo~demo.svc.cluster.local',
        'x-hfi-namespace': 'demo',
        'x-hfi-workload': 'frontend-v1',
        'x-hfi-labels': 'app=frontend,version=v1',
        'x-hfi-filter': '0.1.0',
        'x-hfi-layout': String(LAYOUT_VERSION),
        'x-hfi-lease-ms': '60000',
        'x-hfi-vms': '1',
        'x-hfi-poll-failures': '0',
      },
    );
    const version = envoy.serve([ABORT], undefined, first);
    const second = envoy.poll();
    assert.equal(second.headers['if-none-match'], `"${version}"`);
    assert.equal(second.headers['x-hfi-acknowledged'], version);
  });

  it('tells of what revision it heard last, also when that went back', () => {
    const envoy = new Envoy();
    let call = envoy.poll();
    assert.equal(call.headers['x-hfi-revision'], undefined);
    for (const revision of ['4711', '12']) {
      call.vm.answer(call, [
        [':status', '304'],
        ['x-hfi-time', String(Math.round(envoy.now))],
        ['x-hfi-revision', revision],
      ]);
      call = envoy.poll();
      assert.equal(call.headers['x-hfi-revision'], revision);
    }
  });

  it('acknowledges only when every worker runs the ruleset', () => {
    const envoy = new Envoy(3);
    const call = envoy.poll();
    const others = [...envoy.roots.keys()].filter((vm) => vm !== call.vm);
    const [slow] = others;
    assert.ok(slow);
    slow.dead = true;
    const version = envoy.serve([ABORT], undefined, call);
    envoy.process.advance(300);
    const waiting = envoy.poll();
    assert.equal(waiting.headers['x-hfi-acknowledged'], undefined);
    assert.equal(waiting.headers['if-none-match'], `"${version}"`);
    slow.dead = false;
    envoy.process.advance(1);
    const confirmed = envoy.poll(0);
    assert.equal(confirmed.headers['x-hfi-acknowledged'], version);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
  });

  it('does not wait for a VM that has ended, as after a change of the filter', () => {
    const envoy = new Envoy(3);
    const call = envoy.poll();
    envoy.process.advance(300);
    const ended = [...envoy.roots.keys()].find((vm) => vm !== call.vm);
    assert.ok(ended);
    ended.dropRoot(envoy.roots.get(ended) ?? 0);
    ended.dead = true;
    envoy.roots.delete(ended);
    const version = envoy.serve([ABORT], undefined, call);
    envoy.process.advance(2);
    const next = envoy.poll(0);
    assert.equal(next.headers['x-hfi-acknowledged'], version);
    assert.equal(next.headers['x-hfi-vms'], '2');
  });

  it('polls again and again after failures, with pauses that grow to 5 s at most, and recovers at once', () => {
    const envoy = new Envoy();
    envoy.serve([ABORT]);
    const pauses: number[] = [];
    for (let i = 0; i < 20; i++) {
      const call = envoy.poll(6000);
      call.vm.answer(call, i % 2 === 0 ? [] : [[':status', '503']]);
      const from = envoy.process.nowNs;
      while (envoy.process.calls.length === 0) envoy.process.advance(1);
      pauses.push(Number(envoy.process.nowNs - from) / 1e6);
    }
    assert.ok(pauses[0] !== undefined && pauses[0] <= 101 && pauses[0] >= 50, `first pause ${pauses[0]}`);
    assert.ok(Math.max(...pauses) <= 5001, `longest pause ${Math.max(...pauses)}`);
    assert.ok(
      pauses.slice(8).every((pause) => pause >= 2500),
      pauses.join(' '),
    );
    assert.equal(envoy.metric('connected'), 0);
    assert.equal(envoy.metric('polls_failed_total'), 20);
    const call = envoy.poll();
    assert.equal(call.headers['x-hfi-poll-failures'], '20');
    envoy.unchanged(call);
    assert.equal(envoy.metric('connected'), 1);
    assert.equal(envoy.process.calls.length, 1);
  });

  it('logs a failure once, not each time', () => {
    const envoy = new Envoy();
    for (let i = 0; i < 10; i++) {
      const call = envoy.poll(6000);
      call.vm.answer(call, [[':status', '401']]);
    }
    assert.equal(envoy.process.logs.filter((line) => line.includes('401')).length, 1);
    assert.ok(!envoy.process.logs.some((line) => line.includes('secret-token')));
  });

  it('goes on trying when the cluster is unknown', () => {
    const envoy = new Envoy();
    envoy.process.refuseCalls = true;
    envoy.process.advance(20_000);
    assert.ok(envoy.metric('polls_failed_total') >= 5);
    envoy.process.refuseCalls = false;
    envoy.serve([ABORT]);
    assert.equal(envoy.request().action, HIT);
  });

  it('polls again though the host never answered, nor said that the time was over', () => {
    const envoy = new Envoy();
    envoy.serve([ABORT]);
    const lost = envoy.poll();
    envoy.process.advance(lost.timeoutMs + 5000);
    envoy.serve([], undefined, envoy.poll(2000));
    assert.equal(envoy.request().action, PASSED);
  });

  it('ignores an answer that comes after its poll was superseded', () => {
    const envoy = new Envoy(2);
    const call = envoy.poll();
    envoy.serve([ABORT], undefined, call);
    const stale = call;
    call.vm.answer(
      stale,
      [
        [':status', '200'],
        ['etag', '"0123456789abcdef"'],
        ['x-hfi-time', '1'],
      ],
      compileRuleset([], 0),
    );
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
  });
});
