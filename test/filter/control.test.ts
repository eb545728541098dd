import assert from 'node:assert/strict';
import { HEADER_LAYOUT, LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { Process, type Vm } from '../support/wasm-host.ts';
import { CONFIGURATION, Envoy, made } from './envoy.ts';

const abort = made('p', { rules: [{ fault: { abort: { httpStatus: 503 } } }] });
const HIT = 1;
const PASSED = 0;

function metric(envoy: Envoy, name: string): number {
  return envoy.process.metric(`wasmcustom.hfi_${name}`);
}

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
    const version = envoy.serve([abort], undefined, first);
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
    const version = envoy.serve([abort], undefined, call);
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
    const version = envoy.serve([abort], undefined, call);
    envoy.process.advance(2);
    const next = envoy.poll(0);
    assert.equal(next.headers['x-hfi-acknowledged'], version);
    assert.equal(next.headers['x-hfi-vms'], '2');
  });

  it('polls again and again after failures, with pauses that grow to 5 s at most, and recovers at once', () => {
    const envoy = new Envoy();
    envoy.serve([abort]);
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
    assert.equal(metric(envoy, 'connected'), 0);
    assert.equal(metric(envoy, 'polls_failed_total'), 20);
    const call = envoy.poll();
    assert.equal(call.headers['x-hfi-poll-failures'], '20');
    envoy.unchanged(call);
    assert.equal(metric(envoy, 'connected'), 1);
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
    assert.ok(metric(envoy, 'polls_failed_total') >= 5);
    envoy.process.refuseCalls = false;
    envoy.serve([abort]);
    assert.equal(envoy.request().action, HIT);
  });

  it('polls again though the host never answered, nor said that the time was over', () => {
    const envoy = new Envoy();
    envoy.serve([abort]);
    const lost = envoy.poll();
    envoy.process.advance(lost.timeoutMs + 5000);
    envoy.serve([], undefined, envoy.poll(2000));
    assert.equal(envoy.request().action, PASSED);
  });

  it('ignores an answer that comes after its poll was superseded', () => {
    const envoy = new Envoy(2);
    const call = envoy.poll();
    envoy.serve([abort], undefined, call);
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

describe('filter: lease', () => {
  it('stops faulting when it ends, not before, and goes on with the next answer', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    const call = envoy.poll();
    assert.equal(call.headers.prefer, 'wait=2');
    envoy.serve([abort], undefined, call);
    const began = envoy.process.nowNs;
    const left = () => 6000 - Number(envoy.process.nowNs - began) / 1e6;
    envoy.process.advance(left() - 1);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    envoy.process.advance(2);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, PASSED);
    envoy.process.advance(1000);
    assert.equal(envoy.process.logs.filter((line) => line.includes('lease ended')).length, 1);
    assert.equal(metric(envoy, 'lease_remaining_seconds'), 0);
    envoy.unchanged(envoy.poll());
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
  });

  it('is renewed by every answer', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    envoy.serve([abort]);
    for (let i = 0; i < 10; i++) {
      envoy.process.advance(3000);
      envoy.unchanged();
      for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    }
  });

  it('is not renewed by an error, nor by an answer without the time', () => {
    const envoy = new Envoy(1, { leaseMs: 6000 });
    envoy.serve([abort]);
    for (let i = 0; i < 3; i++) {
      envoy.process.advance(2500);
      const call = envoy.poll();
      call.vm.answer(
        call,
        i === 1
          ? [[':status', '304']]
          : [
              [':status', '500'],
              ['x-hfi-time', '1'],
            ],
      );
    }
    assert.equal(envoy.request().action, PASSED);
    assert.equal(envoy.process.logs.filter((line) => line.includes('answered without x-hfi-time')).length, 1);
    assert.equal(envoy.process.logs.filter((line) => line.includes('answered with status 500')).length, 2);
  });
});

describe('filter: after an outage', () => {
  it('asks for an answer at once, so that the lease is renewed and faults go on with it', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    envoy.serve([abort]);
    for (let i = 0; i < 4; i++) {
      const call = envoy.poll(6000);
      call.vm.answer(call, [[':status', '503']]);
      envoy.process.advance(2000);
    }
    assert.equal(envoy.request().action, PASSED);
    const call = envoy.poll(6000);
    assert.equal(call.headers.prefer, 'wait=0');
    envoy.unchanged(call);
    assert.equal(envoy.request().action, HIT);
    assert.equal(envoy.poll().headers.prefer, 'wait=2');
  });
});

describe('filter: refused rulesets', () => {
  const good = compileRuleset([{ policy: made('q', { rules: [{ fault: { abort: { httpStatus: 500 } } }] }), appliedAt: 0 }], 0);
  const changed = (at: number, value: number) => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  for (const [what, bytes, reason] of [
    ['cut short', good.subarray(0, good.length - 5), 'received incompletely'],
    ['damaged', changed(good.length - 1, 0xaa), 'checksum differs'],
    ['of a newer layout', changed(HEADER_LAYOUT, LAYOUT_VERSION + 1), 'layout version not known to this filter'],
    ['something else', new TextEncoder().encode('<html>not a ruleset at all, but long enough</html>'), 'not a ruleset'],
    ['empty', new Uint8Array(), 'received incompletely'],
    ['too large', new Uint8Array(4 * 1024 * 1024 + 1), 'too large'],
  ] as const) {
    it(`${what}: the one in force stays, it is counted, logged once and reported`, () => {
      const envoy = new Envoy(2);
      envoy.serve([abort]);
      for (let i = 0; i < 3; i++) envoy.serveBytes(bytes, envoy.poll());
      for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).replies[0]?.status, 503);
      assert.equal(metric(envoy, 'rulesets_refused_total'), 3);
      assert.equal(metric(envoy, 'rulesets_accepted_total'), 1);
      assert.equal(envoy.process.logs.filter((line) => line.includes(reason)).length, 1);
      const call = envoy.poll();
      assert.equal(call.headers['x-hfi-refused'], `3;${reason}`);
      envoy.serveBytes(good, call);
      assert.equal(envoy.request().replies[0]?.status, 500);
    });
  }
});

describe('filter: election', () => {
  const pollers = (envoy: Envoy): Set<Vm> => new Set(envoy.process.calls.map((call) => call.vm));

  it('one VM polls, however the VMs start', () => {
    for (let seed = 0; seed < 200; seed++) {
      const process = new Process();
      for (let i = 0; i < seed; i++) process.entropy();
      const envoy = new Envoy(0, {}, process);
      for (let i = 0; i < 3; i++) {
        envoy.addVm();
        process.advance((seed * (i + 1)) % 4);
      }
      process.advance(100);
      // Whoever polled first by mistake finds out at its next look; from then on there is one.
      process.calls.length = 0;
      for (let i = 0; i < 5; i++) {
        process.advance(1000);
        for (const call of [...process.calls]) envoy.unchanged(call);
      }
      assert.ok(pollers(envoy).size <= 1, `seed ${seed}: ${pollers(envoy).size} pollers`);
    }
  });

  it('another VM takes over when the leader is gone, and the faults go on', () => {
    const envoy = new Envoy(3);
    envoy.serve([abort]);
    const leader = envoy.poll().vm;
    leader.kill();
    envoy.roots.delete(leader);
    const call = envoy.poll(5000);
    assert.notEqual(call.vm, leader);
    envoy.unchanged(call);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    envoy.process.advance(12_000);
    envoy.serve([]);
    envoy.process.advance(2);
    const version = envoy.poll().headers['x-hfi-acknowledged'];
    assert.ok(version, 'the dead VM does not keep the others from acknowledging');
  });

  it('a VM that comes later faults from its first request on', () => {
    const envoy = new Envoy();
    envoy.serve([abort]);
    const late = envoy.addVm();
    assert.equal(envoy.request([], late).action, HIT);
  });

  it('a VM that is only tried and thrown away does not count', () => {
    const envoy = new Envoy();
    const canary = envoy.addVm();
    canary.kill();
    envoy.roots.delete(canary);
    envoy.serve([abort]);
    assert.ok(envoy.poll(1).headers['x-hfi-acknowledged']);
  });
});

describe('filter: configuration', () => {
  it('takes a new one in place', () => {
    const envoy = new Envoy();
    envoy.serve([abort]);
    envoy.vm.configure({ ...CONFIGURATION, authority: 'other', token: 'quote " and \\ back' }, envoy.root);
    assert.equal(envoy.request().action, HIT);
    envoy.unchanged();
    const call = envoy.poll();
    assert.equal(call.headers[':authority'], 'other');
    assert.equal(call.headers.authorization, 'Bearer quote " and \\ back');
  });

  for (const [what, configuration] of [
    ['nothing', ''],
    ['no object', '[]'],
    ['cut short', '{"cluster":"a'],
    ['no cluster', '{"token":"x"}'],
    ['a wrong direction', '{"cluster":"a","direction":"sideways"}'],
    ['a lease out of range', '{"cluster":"a","leaseMs":10}'],
    ['a lease that is a text', '{"cluster":"a","leaseMs":"60000"}'],
    ['too many delayed requests', '{"cluster":"a","maxDelayedRequests":1000000000}'],
    ['a cluster longer than the room for it', `{"cluster":"${'a'.repeat(5000)}"}`],
    ['a token longer than the room for it', `{"cluster":"a","token":"${'t'.repeat(5000)}"}`],
    ['an authority longer than the room for it', `{"cluster":"a","authority":"${'b'.repeat(5000)}"}`],
    ['deep nesting', `{"cluster":"a","x":${'['.repeat(1000)}${']'.repeat(1000)}}`],
    ['garbage', '\u0000\u0001{{{{]]]"\\'],
  ] as const) {
    it(`refuses ${what}, says so, and keeps the one before`, () => {
      const envoy = new Envoy();
      envoy.serve([abort]);
      envoy.vm.configure(configuration, envoy.root);
      assert.equal(metric(envoy, 'config_invalid'), 1);
      assert.equal(envoy.request().action, HIT);
      envoy.unchanged();
      assert.equal(envoy.poll().headers[':authority'], 'cp');
      envoy.vm.configure({ ...CONFIGURATION, unknown: { a: [1, 'x', null] } }, envoy.root);
      assert.equal(metric(envoy, 'config_invalid'), 0);
    });
  }

  it('goes on when the root that polled is removed and another is there', () => {
    const envoy = new Envoy();
    const outbound = envoy.vm.configure({ ...CONFIGURATION, direction: 'outbound' });
    envoy.serve([abort]);
    const held = made('d', { rules: [{ fault: { delay: { fixed_delay_ms: 50 } } }] });
    envoy.serve([held]);
    const stream = envoy.request();
    const { root } = envoy;
    envoy.roots.set(envoy.vm, outbound);
    envoy.vm.dropRoot(root);
    envoy.process.advance(60);
    assert.equal(stream.continued, 1);
    assert.ok(envoy.vm.timers.has(outbound));
    // The answer to the old root's poll never comes; a new poll was sent.
    const version = envoy.serve(
      [made('o', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] })],
      undefined,
      envoy.poll(0),
    );
    assert.equal(envoy.poll(10).headers['x-hfi-acknowledged'], version);
    assert.equal(envoy.request().action, HIT);
  });

  it('shows an identity that can not be read', () => {
    const process = new Process();
    process.properties.clear();
    process.properties.set('node\0id', new TextEncoder().encode('old-style'));
    const envoy = new Envoy(1, {}, process);
    const call = envoy.poll();
    assert.equal(call.headers['x-hfi-proxy'], 'old-style');
    assert.equal(call.headers['x-hfi-unreadable'], 'namespace,workload,labels');
    assert.equal(metric(envoy, 'identity_unreadable'), 1);
    assert.equal(process.logs.filter((line) => line.includes('can not read')).length, 1);
  });
});
