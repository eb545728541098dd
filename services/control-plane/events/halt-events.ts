import type { HaltInForce } from '../fleet/halts.ts';
import type { HaltEvent } from './events.ts';

/** Tells what is halted and what goes on, from one look at what is in force to the next. */
export class HaltEvents {
  readonly #tell: (event: HaltEvent) => void;
  #known = new Map<string, HaltInForce>();

  constructor(tell: (event: HaltEvent) => void) {
    this.#tell = tell;
  }

  /** @param news false when what is in force was so before anybody could be told */
  look(inForce: readonly HaltInForce[], news: boolean): void {
    const now = new Map(inForce.map((one) => [one.halt.namespace ?? '', one]));
    if (news) {
      for (const [key, { halt }] of now) {
        // Who halts what is halted already changes nothing.
        if (this.#known.has(key)) continue;
        const why = halt.reason === '' ? '' : `: ${halt.reason}`;
        this.#say('halted', halt.namespace, `is halted by ${halt.by.name}${why}`);
      }
      for (const [key, { halt }] of this.#known) if (!now.has(key)) this.#say('resumed', halt.namespace, 'goes on');
    }
    this.#known = now;
  }

  #say(what: HaltEvent['what'], namespace: string | null, said: string): void {
    this.#tell({ type: 'halt', what, namespace, message: `${namespace === null ? 'everything' : `namespace ${namespace}`} ${said}` });
  }
}
