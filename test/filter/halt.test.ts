import assert from 'node:assert/strict';
import type { Stream } from '../../filter/host/abi.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { markedBytes } from '../../services/control-plane/ruleset/marks.ts';
import type { Policy, PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, HIT, made, PASSED } from './envoy.ts';
import { keyOf, ReportReader } from './report-reader.ts';

const HOLD = 4;
const HOLD_PIECE = 2;
const DROP_PIECE = 3;
type Fault = PolicyInput['spec']['rules'][number]['fault'];

const one = (fault: Fault): Policy[] => [made('p', { rules: [{ fault }] })];
const OK: readonly (readonly [string, string])[] = [
  [':status', '200'],
  ['content-length', '10'],
];
const piece = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (stream: Stream): string => new TextDecoder().decode(stream.piece);

/** The control plane halts: the same rules, with the flag. */
function halt(envoy: Envoy, policies: readonly Policy[], appliedAt = Math.round(envoy.now), call = envoy.poll()): string {
  const applied = policies.map((policy) => ({ policy, appliedAt }));
  return envoy.serveBytes(markedBytes(compileRuleset(applied, envoy.now), { halted: true, budget: 0 }), call);
}

describe('filter: a halt, for new requests', () => {
  it('lets all pass in every VM from the answer on, says so, and a resume brings the faults back', () => {
    const envoy = new Envoy(3);
    const rules = one({ abort: { httpStatus: 503 } });
    const applied = Math.round(envoy.now);
    const version = envoy.serve(rules, applied);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    const halted = halt(envoy, rules, applied);
    assert.notEqual(halted, version);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, PASSED);
    const poll = envoy.poll();
    assert.equal(poll.headers['x-hfi-acknowledged'], halted);
    assert.equal(envoy.metric('halted'), 1);
    assert.equal(envoy.process.logs.filter((line) => line.includes('halted: no faults until a resume')).length, 1);
    assert.equal(envoy.serve(rules, applied, poll), version);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    assert.equal(envoy.metric('halted'), 0);
  });

  it('is not acknowledged before every VM lets them pass', () => {
    const envoy = new Envoy(2);
    const rules = one({ abort: { httpStatus: 503 } });
    envoy.serve(rules);
    envoy.process.advance(2000);
    const stuck = [...envoy.roots.keys()][1];
    assert.ok(stuck !== undefined);
    stuck.dead = true;
    const halted = halt(envoy, rules);
    for (let i = 0; i < 3; i++) {
      const poll = envoy.poll();
      assert.notEqual(poll.headers['x-hfi-acknowledged'], halted);
      envoy.unchanged(poll);
    }
    stuck.dead = false;
    let acknowledged = '';
    for (let i = 0; i < 5 && acknowledged !== halted; i++) {
      const poll = envoy.poll();
      acknowledged = poll.headers['x-hfi-acknowledged'] ?? '';
      envoy.unchanged(poll);
    }
    assert.equal(acknowledged, halted);
  });

  it('is acknowledged anew when it comes again, not before every VM has left what it ran in between', () => {
    const envoy = new Envoy(2);
    const rules = one({ abort: { httpStatus: 503 } });
    const applied = Math.round(envoy.now);
    const halted = halt(envoy, rules, applied);
    envoy.process.advance(2000);
    const poll = envoy.poll();
    assert.equal(poll.headers['x-hfi-acknowledged'], halted);
    const [other] = [...envoy.roots.keys()].filter((vm) => vm !== poll.vm);
    assert.ok(other !== undefined);
    // The other one takes the resumed ruleset from its timer, while the leader has no time to look.
    other.dead = true;
    envoy.serve(rules, applied, poll);
    const again = envoy.poll();
    [other.dead, poll.vm.dead] = [false, true];
    envoy.process.advance(1001);
    assert.equal(envoy.request([], other, envoy.roots.get(other)).action, HIT);
    [other.dead, poll.vm.dead] = [true, false];
    halt(envoy, rules, applied, again);
    const before = envoy.poll();
    assert.notEqual(before.headers['x-hfi-acknowledged'], halted);
    other.dead = false;
    envoy.unchanged(before);
    envoy.process.advance(2000);
    assert.equal(envoy.poll().headers['x-hfi-acknowledged'], halted);
    assert.equal(envoy.request([], other, envoy.roots.get(other)).action, PASSED);
  });

  it('holds for a VM that comes later, and when the lease ends and begins again', () => {
    const envoy = new Envoy(1, { leaseMs: 6000 });
    const rules = one({ abort: { httpStatus: 503 } });
    halt(envoy, rules);
    const late = envoy.addVm({ leaseMs: 6000 });
    envoy.process.advance(1500);
    assert.equal(envoy.request([], late).action, PASSED);
    envoy.process.advance(10_000);
    assert.equal(envoy.request().action, PASSED);
    envoy.unchanged(envoy.poll());
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, PASSED);
    assert.equal(envoy.metric('faults_aborts_total'), 0);
  });

  it('takes no injection from a rule that may have so many', () => {
    const envoy = new Envoy();
    const applied = Math.round(envoy.now);
    const rules = [made('p', { rules: [{ match: { limit: 2 }, fault: { abort: { httpStatus: 503 } } }] })];
    envoy.serve(rules, applied);
    assert.equal(envoy.request().action, HIT);
    halt(envoy, rules, applied);
    for (let i = 0; i < 10; i++) assert.equal(envoy.request().action, PASSED);
    envoy.serve(rules, applied);
    assert.deepEqual([envoy.request().action, envoy.request().action], [HIT, PASSED]);
  });

  it('counts no shadow either', () => {
    const envoy = new Envoy();
    const rules = [made('p', { mode: 'shadow', rules: [{ fault: { abort: { httpStatus: 503 } } }] })];
    halt(envoy, rules);
    envoy.request();
    assert.equal(envoy.metric('faults_shadowed_total'), 0);
  });

  it('asks the host for nothing when no rule would fire', () => {
    const envoy = new Envoy();
    halt(envoy, [made('p', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] })]);
    envoy.vm.resetCounts();
    envoy.vm.end(envoy.request());
    assert.deepEqual(Object.fromEntries(envoy.vm.counts), {});
  });
});

describe('filter: a halt, for what is under way', () => {
  it('lets every held request go on at once, in all VMs, without its abort', () => {
    const envoy = new Envoy(3);
    const rules = one({ delay: { fixed_delay: '30s' }, abort: { httpStatus: 418 } });
    envoy.serve(rules);
    const held = [...envoy.roots].flatMap(([vm, root]) => Array.from({ length: 50 }, () => envoy.request([], vm, root)));
    envoy.process.advance(5000);
    assert.ok(held.every(({ action, continued }) => action === HOLD && continued === 0));
    halt(envoy, rules);
    assert.ok(held.every(({ continued }) => continued === 1));
    assert.equal(envoy.metric('requests_delayed'), 0);
    assert.equal(envoy.metric('faults_aborts_total'), 0);
    envoy.serve(rules);
    envoy.process.advance(60_000);
    assert.ok(held.every(({ continued, replies, reset }) => continued === 1 && replies.length === 0 && !reset));
    assert.deepEqual([...new Set(envoy.process.metrics.get('wasmcustom.hfi_faults_delay_duration_milliseconds')?.records)], [5000n]);
  });

  it('also of rules that the ruleset has no more', () => {
    const envoy = new Envoy();
    envoy.serve(one({ delay: { fixed_delay: '30s' } }));
    const held = envoy.request();
    envoy.serve([]);
    envoy.process.advance(1000);
    assert.equal(held.continued, 0);
    halt(envoy, []);
    assert.equal(held.continued, 1);
  });

  it('holds new requests as before after a resume', () => {
    const envoy = new Envoy();
    const rules = one({ delay: { fixed_delay: '2s' } });
    envoy.serve(rules);
    envoy.request();
    halt(envoy, rules);
    envoy.serve(rules);
    const later = envoy.request();
    envoy.process.advance(1999);
    assert.deepEqual([later.action, later.continued], [HOLD, 0]);
    envoy.process.advance(2);
    assert.equal(later.continued, 1);
  });

  it('lets every held response go on at once, without its abort', () => {
    const envoy = new Envoy();
    const rules = one({ delay: { fixed_delay: '30s', at: 'response' }, abort: { httpStatus: 418, at: 'response' } });
    envoy.serve(rules);
    const stream = envoy.request();
    assert.equal(envoy.vm.response(stream, OK, true), HOLD);
    halt(envoy, rules);
    assert.deepEqual([stream.continuedResponse, stream.replies.length], [1, 0]);
    envoy.process.advance(60_000);
    assert.deepEqual([stream.continuedResponse, stream.replies.length], [1, 0]);
  });

  const answerFaults: [string, Fault][] = [
    ['a delay', { delay: { fixed_delay: '30s', at: 'response' } }],
    ['an abort', { abort: { httpStatus: 418, at: 'response' } }],
    ['a status and headers', { response: { status: 500, headers: { set: { 'x-changed': 'yes' } } } }],
    ['another body', { response: { body: 'other' } }],
    ['a cut', { response: { truncate: { bytes: 3 } } }],
    ['a clean cut', { response: { truncate: { bytes: 3, end: 'clean' } } }],
    ['damage', { response: { corrupt: { percentage: 100 } } }],
    ['a throttle', { response: { throttle: '1B/s' } }],
    ['trailers', { response: { trailers: { 'grpc-status': '14' } } }],
  ];
  for (const [what, fault] of answerFaults) {
    it(`leaves an answer alone that is still to come: ${what}, also after a resume`, () => {
      const envoy = new Envoy();
      const rules = one(fault);
      envoy.serve(rules);
      const stream = envoy.request();
      assert.equal(stream.action, PASSED);
      halt(envoy, rules);
      assert.equal(envoy.vm.response(stream, OK, false), 0);
      envoy.serve(rules);
      for (const [part, last] of [
        ['01234', false],
        ['56789', false],
        ['', true],
      ] as const) {
        assert.equal(envoy.vm.responseBody(stream, piece(part), last), 0);
        assert.equal(text(stream), part);
      }
      envoy.vm.trailers(stream, [['grpc-status', '0']]);
      assert.deepEqual(stream.responseHeaders, OK);
      assert.deepEqual(stream.responseTrailers, [['grpc-status', '0']]);
      assert.deepEqual([stream.replies.length, stream.reset], [0, false]);
    });
  }

  it('lets held pieces of bodies go on, both ways, and holds no more of them', () => {
    const envoy = new Envoy();
    const rules = one({ request: { throttle: '1B/s' }, response: { latency: '10s' } });
    envoy.serve(rules);
    const stream = envoy.request([], undefined, undefined, false);
    assert.equal(envoy.vm.requestBody(stream, piece('up'), false), HOLD_PIECE);
    const other = envoy.request();
    envoy.vm.response(other, OK, false);
    assert.equal(envoy.vm.responseBody(other, piece('down'), false), HOLD_PIECE);
    halt(envoy, rules);
    assert.deepEqual([stream.continued, stream.continuedResponse], [1, 0]);
    assert.deepEqual([other.continued, other.continuedResponse], [0, 1]);
    assert.equal(envoy.vm.requestBody(stream, piece('more'), true), 0);
    assert.equal(envoy.vm.responseBody(other, piece('more'), true), 0);
    envoy.process.advance(60_000);
    assert.deepEqual([stream.continued, other.continuedResponse], [1, 1]);
  });

  for (const [what, response] of [
    ['cut', { truncate: { bytes: 7 } }],
    ['damage', { corrupt: { percentage: 100 } }],
  ] as const) {
    it(`leaves the rest of a body alone: no ${what}`, () => {
      const envoy = new Envoy();
      const rules = one({ response });
      envoy.serve(rules);
      const stream = envoy.request();
      envoy.vm.response(stream, OK, false);
      assert.equal(envoy.vm.responseBody(stream, piece('01234'), false), 0);
      halt(envoy, rules);
      assert.equal(envoy.vm.responseBody(stream, piece('56789'), true), 0);
      assert.deepEqual([text(stream), stream.reset], ['56789', false]);
    });
  }

  it('ends a response at once that has lost its end: it must not look whole', () => {
    const envoy = new Envoy();
    const rules = one({ response: { truncate: { bytes: 3 } } });
    envoy.serve(rules);
    const stream = envoy.request();
    envoy.vm.response(stream, OK, false);
    envoy.vm.responseBody(stream, piece('01234'), false);
    assert.deepEqual([text(stream), stream.reset], ['012', false]);
    halt(envoy, rules);
    assert.equal(stream.reset, true);
  });

  it('finishes a body as its head has said: another one, and a shorter one', () => {
    for (const [response, length, parts] of [
      [{ body: 'other' }, '5', ['', '']],
      [{ truncate: { bytes: 7, end: 'clean' as const } }, '7', ['01234', '56']],
    ] as const) {
      const envoy = new Envoy();
      const rules = one({ response });
      envoy.serve(rules);
      const stream = envoy.request();
      envoy.vm.response(stream, OK, false);
      assert.equal(stream.responseHeaders.find(([name]) => name === 'content-length')?.[1], length);
      let said = '';
      if ('body' in response) {
        envoy.vm.responseBody(stream, piece('ab'), false);
        said += text(stream);
      }
      halt(envoy, rules);
      for (const [i, part] of ['01234', '56789'].entries()) {
        assert.equal(envoy.vm.responseBody(stream, piece(part), i === 1), 0);
        assert.equal(text(stream), parts[i]);
        said += text(stream);
      }
      assert.equal(said.length, Number(length));
    }
  });

  it('shortens no further a body without a length: whole before its end, broken off behind it', () => {
    const head = [[':status', '200']] as const;
    for (const [first, action, reset] of [
      ['01', 0, false],
      ['01234', DROP_PIECE, true],
    ] as const) {
      const envoy = new Envoy();
      const rules = one({ response: { truncate: { bytes: 3, end: 'clean' } } });
      envoy.serve(rules);
      const stream = envoy.request();
      envoy.vm.response(stream, head, false);
      envoy.vm.responseBody(stream, piece(first), false);
      halt(envoy, rules);
      assert.equal(envoy.vm.responseBody(stream, piece('56789'), false), action);
      assert.deepEqual([text(stream), stream.reset], ['56789', reset]);
    }
  });

  it('is taken from the timer when no other VM woke this one', () => {
    const envoy = new Envoy(2);
    const rules = one({ delay: { fixed_delay: '30s' } });
    envoy.serve(rules);
    envoy.process.advance(2000);
    const [, [vm, root] = []] = [...envoy.roots];
    assert.ok(vm !== undefined && root !== undefined);
    const held = envoy.request([], vm, root);
    vm.dead = true;
    halt(envoy, rules);
    // The message is lost.
    for (const queue of envoy.process.queues.values()) if (queue.vm === vm) queue.messages.length = 0;
    vm.dead = false;
    assert.equal(held.continued, 0);
    envoy.process.advance(1001);
    assert.equal(held.continued, 1);
  });
});

describe('filter: what a halt counts', () => {
  it('each request that would have been hit, and none of those that would not', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const rules = [made('p', { rules: [{ match: { path: { exact: '/a' }, limit: 5 }, fault: { abort: { httpStatus: 503 } } }] })];
    const applied = Math.round(envoy.now);
    envoy.serve(rules, applied);
    const send = (times: number, path: string): void => {
      for (let i = 0; i < times; i++) envoy.vm.end(envoy.request([[':path', path]]));
    };
    send(2, '/a');
    halt(envoy, rules, applied);
    send(4, '/a');
    send(3, '/b');
    envoy.serve(rules, applied);
    send(1, '/a');
    reader.during(2100);
    assert.deepEqual(reader.of(keyOf('p', 0, applied)), { injected: 3, abort: 3, halt: 4 });
  });

  it('an answer that the rule was about, and that came after it, once', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const rules = one({ response: { status: 418 }, ifStatus: 200 });
    const applied = Math.round(envoy.now);
    envoy.serve(rules, applied);
    const stream = envoy.request();
    assert.equal(stream.notes.get('hfi_fault'), 'p/0');
    halt(envoy, rules, applied);
    assert.equal(envoy.vm.response(stream, OK, true), 0);
    envoy.vm.end(stream);
    assert.deepEqual(stream.responseHeaders, OK);
    assert.equal(stream.notes.get('hfi_fault') ?? '', '');
    reader.during(2100);
    assert.deepEqual(reader.of(keyOf('p', 0, applied)), { halt: 1 });
  });

  it('nothing twice of a request that was hit before, whatever was still to come', () => {
    const envoy = new Envoy();
    const reader = new ReportReader(envoy);
    const rules = one({ delay: { fixed_delay: '30s' }, response: { status: 418 } });
    const applied = Math.round(envoy.now);
    envoy.serve(rules, applied);
    const stream = envoy.request();
    halt(envoy, rules, applied);
    assert.equal(stream.continued, 1);
    envoy.vm.response(stream, OK, true);
    envoy.vm.end(stream);
    reader.during(2100);
    assert.deepEqual(reader.of(keyOf('p', 0, applied)), { injected: 1, delay: 1 });
  });
});

describe('filter: a halt in a large ruleset', () => {
  it('lets what is held go on when the last piece is checked, in every VM, and is acknowledged only then', () => {
    const envoy = new Envoy(3);
    const fault = { delay: { fixed_delay: '30s' }, abort: { httpStatus: 503, body: 'x'.repeat(8000) } };
    const rules = [made('p', { rules: Array.from({ length: 50 }, () => ({ fault })) })];
    const applied = Math.round(envoy.now);
    envoy.serve(rules, applied);
    envoy.process.advance(2000);
    envoy.process.lookNs = 300_000n;
    const held = [...envoy.roots].map(([vm, root]) => envoy.request([], vm, root));
    assert.ok(held.every(({ action }) => action === HOLD));
    const halted = halt(envoy, rules, applied);
    assert.ok(held.every(({ continued }) => continued === 0));
    const poll = envoy.poll();
    assert.equal(poll.headers['x-hfi-acknowledged'], halted);
    assert.ok(held.every(({ continued, replies }) => continued === 1 && replies.length === 0));
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, PASSED);
  });
});

describe('filter: a ruleset that comes while a request is asked about', () => {
  it('is not taken from under the rule that was found: the lease has ended, and the leader has a newer one', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    envoy.serve(one({ abort: { httpStatus: 503 } }));
    envoy.process.advance(2000);
    const [, [vm, root] = []] = [...envoy.roots];
    assert.ok(vm !== undefined && root !== undefined);
    vm.dead = true;
    envoy.process.advance(8000);
    envoy.serve(one({ abort: { httpStatus: 418, body: 'x'.repeat(3000) } }));
    for (let i = 0; i < 3; i++) assert.equal(envoy.request([], vm, root).action, PASSED);
    vm.dead = false;
    envoy.process.advance(1001);
    assert.equal(envoy.request([], vm, root).replies[0]?.status, 418);
  });
});
