import assert from 'node:assert/strict';
import { NowAndThen } from '../../services/control-plane/now-and-then.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';

const EVERY_MS = 600_000;

/** Everything that waits for promises alone. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

function doing(task: () => Promise<unknown>) {
  const runtime = new HandDrivenRuntime();
  const failures: unknown[] = [];
  // The real timers are not longer either.
  const timers = { after: (ms: number, later: () => void) => runtime.timers.after(Math.min(ms, 60_000), later) };
  const again = new NowAndThen({ runtime: { ...runtime, timers }, everyMs: EVERY_MS, task, failed: (error) => failures.push(error) });
  return { runtime, failures, again };
}

describe('what is done now and then', () => {
  it('is done again and again, no sooner than half the time, until it is stopped', async () => {
    let times = 0;
    const { runtime, again } = doing(async () => times++);
    again.start();
    runtime.advance(EVERY_MS / 2 - 1);
    await turn();
    assert.equal(times, 0);
    for (let i = 1; i <= 5; i++) {
      runtime.advance(EVERY_MS * 1.5);
      await turn();
      assert.equal(times, i);
    }
    again.stop();
    runtime.advance(EVERY_MS * 10);
    await turn();
    assert.equal(times, 5);
  });

  it('is not done twice at once', async () => {
    let under = 0;
    let most = 0;
    let done = (): void => undefined;
    const { runtime, again } = doing(() => {
      most = Math.max(most, ++under);
      return new Promise<void>((resolve) => {
        done = () => {
          under--;
          resolve();
        };
      });
    });
    again.start();
    runtime.advance(EVERY_MS * 10);
    await turn();
    done();
    await turn();
    runtime.advance(EVERY_MS * 10);
    await turn();
    assert.deepEqual([under, most], [1, 1]);
    again.stop();
  });

  it('goes on after failures, of which the first of a row is told', async () => {
    const fails = [true, true, false, true];
    const { runtime, failures, again } = doing(async () => {
      if (fails.shift() === true) throw new Error(`${fails.length} left`);
    });
    again.start();
    for (let i = 0; i < 4; i++) {
      runtime.advance(EVERY_MS * 1.5);
      await turn();
    }
    assert.deepEqual(
      failures.map((error) => (error as Error).message),
      ['3 left', '0 left'],
    );
    again.stop();
  });

  it('is not waited for again when it is stopped meanwhile', async () => {
    let times = 0;
    const { runtime, again } = doing(async () => {
      times++;
      again.stop();
    });
    again.start();
    for (let i = 0; i < 3; i++) {
      runtime.advance(EVERY_MS * 2);
      await turn();
    }
    assert.equal(times, 1);
  });
});
