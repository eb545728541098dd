import type { Clock } from './runtime.ts';

/** Less is how clocks are kept right all the time. */
const WORTH_TELLING_MS = 1000;

/**
 * The wall clock, which never goes back: set back, it goes on with the monotonic one. A policy whose end was near would otherwise have all the time once
 * more by which the clock was set back. Set ahead, it follows: what ends too early does no harm. Only another start of the process takes a
 * time that lies behind.
 */
export class SteadyClock implements Clock {
  readonly #clocks: Clock;
  readonly #setBack: (ms: number) => void;
  /** The most that the wall clock was ever ahead of the monotonic one, in milliseconds. */
  #offset: number;
  #told = false;

  /**
   * @param clocks the wall clock as it is, and a monotonic one
   * @param setBack told once, by how many milliseconds, when the wall clock is more than a second behind
   */
  constructor(clocks: Clock, setBack: (ms: number) => void) {
    this.#clocks = clocks;
    this.#setBack = setBack;
    this.#offset = clocks.now() - clocks.elapsed();
  }

  /** Taken out of the clock it is the same: who asks often does so. */
  readonly now = (): number => {
    const behind = this.#look();
    if (behind > WORTH_TELLING_MS && !this.#told) this.#setBack(behind);
    this.#told = behind > WORTH_TELLING_MS;
    return Math.floor(this.#clocks.elapsed() + this.#offset);
  };

  readonly elapsed = (): number => this.#clocks.elapsed();

  /** How far the wall clock is behind of this one, in milliseconds. */
  get behind(): number {
    return this.#look();
  }

  #look(): number {
    const offset = this.#clocks.now() - this.#clocks.elapsed();
    this.#offset = Math.max(this.#offset, offset);
    return this.#offset - offset;
  }
}
