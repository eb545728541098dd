/** Everything a part of the control plane takes from its surroundings besides the store and the network. */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number;
}

export interface Clock {
  /** The wall clock, in milliseconds since the epoch. A policy's end goes by it. */
  now(): number;
  /** Milliseconds since some moment, never going back. Deadlines and silence go by it. */
  elapsed(): number;
}

export type Cancel = () => void;

export interface Timers {
  /** Runs `task` once after `ms` milliseconds, or earlier when that is too far away for a timer: who waits looks at the clock again. */
  after(ms: number, task: () => void): Cancel;
}

/** Node's timers overflow at 2^31 ms and then fire at once. A minute also bounds what a step of the wall clock can do. */
const LONGEST_TIMER_MS = 60_000;

/** The real clock, timers and random numbers. */
export const systemRuntime: Runtime = {
  clock: { now: () => Date.now(), elapsed: () => performance.now() },
  timers: {
    after(ms, task) {
      const timer = setTimeout(task, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
      return () => clearTimeout(timer);
    },
  },
  random: Math.random,
};

/** Waits `ms` milliseconds, at most a minute. */
export function pause(runtime: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.timers.after(ms, resolve);
  });
}
