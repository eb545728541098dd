import type { HeldState } from './hold.ts';

/** One line on what is held, such as `policy/slow: 2 of 2 proxies run it, lease 27s`. */
export function heldInWords(states: readonly HeldState[], now = performance.now()): string {
  return states
    .map(({ name, selected, acknowledged, until, trouble }) => {
      const left = Math.max(0, Math.ceil((until - now) / 1000));
      const lease = trouble === undefined ? `lease ${left}s` : `NOT RENEWED, ends in ${left}s`;
      return `policy/${name}: ${acknowledged} of ${selected} ${selected === 1 ? 'proxy runs' : 'proxies run'} it, ${lease}`;
    })
    .join('; ');
}

/** Shows states on a terminal in one line that changes; elsewhere only what changed besides the time, a line each. */
export class HoldScreen {
  readonly #out: NodeJS.WriteStream;
  #last = '';
  #shown = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show(states: readonly HeldState[]): void {
    if (this.#out.isTTY) {
      const line = `Ctrl-C ends it  ${heldInWords(states)}`;
      // Written in one piece over what is there, so that nothing flickers.
      this.#out.write(`\r${line.slice(0, (this.#out.columns ?? 80) - 1)}\u001b[K`);
      this.#shown = true;
      return;
    }
    const lasting = states.map(({ name, selected, acknowledged }) => `policy/${name}: ${acknowledged} of ${selected} run it`).join('; ');
    if (lasting !== this.#last) this.#out.write(`${lasting}\n`);
    this.#last = lasting;
  }

  /** A line that stays. */
  note(line: string): void {
    this.#out.write(this.#shown ? `\r\u001b[K${line}\n` : `${line}\n`);
  }

  end(): void {
    if (this.#shown) this.#out.write('\r\u001b[K');
  }
}
