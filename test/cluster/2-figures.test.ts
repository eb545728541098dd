import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type TestStack, theStack } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

const ROUNDS = 100;

/** Prints what was measured; only a wrong answer fails. */
describe('cluster: figures', function () {
  this.timeout(120_000);
  let stack: TestStack;
  let forward: ChildProcess;
  let url = '';
  let token = '';

  before(async () => {
    stack = await theStack();
    const [port = 0] = await freePorts(1);
    url = `http://127.0.0.1:${port}`;
    forward = spawn(process.execPath, ['bin/hfi.js', 'port-forward', '--port', String(port)], {
      cwd: join(import.meta.dirname, '..', '..'),
      env: stack.env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    token = JSON.parse(readFileSync(stack.env.HFI_CONFIG ?? '', 'utf8')).contexts['cluster-test'].token;
    for (let tries = 0; !(await fetch(`${url}/healthz`).catch(() => undefined))?.ok; tries++) {
      assert.ok(tries < 100, 'hfi port-forward serves');
      await sleep(100);
    }
  });
  after(() => forward.kill());

  const ask = async (method: string, path: string, body?: object): Promise<{ status: number; json: { done?: boolean }; etag: string }> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'wait=5' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: answer.status,
      json: (await answer.json()) as { done?: boolean },
      etag: (answer.headers.get('etag') ?? '').replaceAll('"', ''),
    };
  };

  it(`a policy's way from the apply to all workers of three pods, ${ROUNDS} times`, async () => {
    const times: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const spec = { selector: { namespace: SHOP, service: 'callee' }, rules: [{ fault: { abort: { httpStatus: 500 + (i % 2) } } }] };
      const begun = performance.now();
      const written = await ask('PUT', '/v1/policies/timed', { metadata: { name: 'timed' }, spec });
      assert.ok(written.status < 300);
      const rollout = await ask('GET', `/v1/rollout?revision=${written.etag}&policy=timed`);
      times.push(performance.now() - begun);
      assert.equal(rollout.json.done, true);
      await sleep(50);
    }
    await ask('DELETE', '/v1/policies/timed');
    times.sort((a, b) => a - b);
    const at = (share: number): string => (times[Math.ceil(share * ROUNDS) - 1] ?? 0).toFixed(1);
    process.stdout.write(`      p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, through the Kubernetes API\n`);
  });
});
