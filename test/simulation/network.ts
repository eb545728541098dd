import type { Dice } from '../fuzz/dice.ts';
import type { Scheduler } from './scheduler.ts';

/** What the network does to messages. */
export interface Weather {
  /** One message in so many takes up to `longestMs`; 0 = none. */
  lateOneIn: number;
  longestMs: number;
  /** One request of a proxy in so many arrives twice; 0 = none. */
  twiceOneIn: number;
}

/** Messages of one connection, which come in the order in which they were sent. */
export interface Connection {
  lastAt: number;
  /** Broken: what is under way does not arrive. */
  broken: boolean;
}

interface Held {
  readonly pair: string;
  readonly deliver: () => void;
  readonly connection: Connection | undefined;
}

/**
 * A network between named parts. A message takes its time and may overtake others; between parts that are cut off from each other it waits
 * until they aren't, as TCP sends it again, unless its connection breaks.
 */
export class Network {
  readonly weather: Weather = { lateOneIn: 0, longestMs: 0, twiceOneIn: 0 };
  readonly #scheduler: Scheduler;
  readonly #dice: Dice;
  readonly #cuts = new Set<string>();
  #held: Held[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.#dice = scheduler.fork();
  }

  /** Delivers a message unless its connection breaks before. */
  send(from: string, to: string, deliver: () => void, connection?: Connection): void {
    if (connection?.broken === true) return;
    const pair = pairOf(from, to);
    if (this.#cuts.has(pair)) {
      this.#held.push({ pair, deliver, connection });
      return;
    }
    const { lateOneIn, longestMs } = this.weather;
    const late = lateOneIn > 0 && this.#dice.oneIn(lateOneIn) ? this.#dice.below(longestMs) : 0;
    let at = this.#scheduler.now + 0.2 + this.#dice.below(2000) / 1000 + late;
    if (connection !== undefined) {
      at = Math.max(at, connection.lastAt + 0.001);
      connection.lastAt = at;
    }
    this.#scheduler.after(at - this.#scheduler.now, () => {
      if (connection?.broken === true) return;
      // It was cut while the message was under way.
      if (this.#cuts.has(pair)) this.#held.push({ pair, deliver, connection });
      else deliver();
    });
  }

  /** Whether this request arrives twice. */
  twice(): boolean {
    return this.weather.twiceOneIn > 0 && this.#dice.oneIn(this.weather.twiceOneIn);
  }

  cut(a: string, b: string): void {
    this.#cuts.add(pairOf(a, b));
  }

  mend(a: string, b: string): void {
    const pair = pairOf(a, b);
    if (!this.#cuts.delete(pair)) return;
    const due = this.#held.filter((held) => held.pair === pair);
    this.#held = this.#held.filter((held) => held.pair !== pair);
    for (const { deliver, connection } of due) this.send(a, b, deliver, connection);
  }

  mendAll(): void {
    for (const pair of [...this.#cuts]) {
      const [a = '', b = ''] = pair.split('|');
      this.mend(a, b);
    }
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}
