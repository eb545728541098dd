/** What a terminal is told (ECMA-48; 2026 is the terminal working group's "synchronized output"). */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const BEGIN = '\u001b[?2026h\u001b[H';
const END = '\u001b[J\u001b[?2026l';
const CLEAR_REST = '\u001b[K';

interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/**
 * A screen that is drawn again and again without a flicker: each drawing is one write, over the one before, and nothing is cleared
 * first. The terminal's own screen comes back when it is left.
 */
export class LiveScreen {
  readonly #terminal: Terminal;
  #drawn = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write(ENTER);
  }

  /** Draws lines; what there is no room for is cut off, but never the last line. The same again draws nothing. */
  draw(lines: readonly string[]): void {
    // A terminal that doesn't know its size says 0.
    const [columns, rows] = [this.#terminal.columns || 80, this.#terminal.rows || 24];
    const most = rows - 1;
    const shown = lines.length > most ? [...lines.slice(0, most - 1), lines.at(-1) ?? ''] : lines;
    const fitting = shown.map((line) => line.slice(0, columns - 1) + CLEAR_REST);
    const text = BEGIN + fitting.map((line) => `${line}\r\n`).join('') + END;
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.#terminal.write(text);
  }

  leave(): void {
    this.#terminal.write(LEAVE);
  }
}
