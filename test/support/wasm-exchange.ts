import type { Stream } from '../../filter/host/abi.ts';

/** A whole HTTP exchange through the filter in Node: what Envoy does with what the callbacks return. */

const HOLD_HEAD = 4;
const HOLD_PIECE = 2;
const DROP_PIECE = 3;

export interface Upstream {
  readonly headers: readonly (readonly [string, string])[];
  /** Undefined when the answer has none at all. */
  readonly body: Uint8Array | undefined;
  readonly trailers?: readonly (readonly [string, string])[];
}

export class Exchange {
  readonly stream: Stream;
  readonly #body: Uint8Array | undefined;
  readonly #upstream: Upstream;
  readonly #toService: Uint8Array[] = [];
  readonly #toClient: Uint8Array[] = [];
  readonly #steps: Generator<undefined>;
  over = false;
  /** The service got the whole request. */
  asked = false;
  /** The client has the head of the service's answer. */
  answered = false;

  /**
   * @param stream whose headers the filter has had
   * @param body the request's; undefined when it has none
   */
  constructor(stream: Stream, body: Uint8Array | undefined, upstream: Upstream) {
    this.stream = stream;
    this.#body = body;
    this.#upstream = upstream;
    this.#steps = this.#run();
    this.advance();
  }

  /** Goes on until it is held or over. */
  advance(): void {
    if (!this.over && this.#steps.next().done === true) this.over = true;
  }

  /** The body that the service got, or the client. */
  get requestBody(): Uint8Array {
    return Buffer.concat(this.#toService);
  }

  get responseBody(): Uint8Array {
    return Buffer.concat(this.#toClient);
  }

  get #cutShort(): boolean {
    return this.stream.reset || this.stream.replies.length > 0;
  }

  *#run(): Generator<undefined> {
    const { stream } = this;
    const { vm } = stream;
    if (stream.action === HOLD_HEAD) yield* this.#until(() => stream.continued > 0);
    if (this.#cutShort) return;
    if (this.#body !== undefined) {
      yield* this.#way(
        this.#body,
        this.#toService,
        (piece, last) => vm.requestBody(stream, piece, last),
        () => stream.continued,
      );
      if (this.#cutShort) return;
    }
    this.asked = true;
    const { headers, body, trailers } = this.#upstream;
    if (vm.response(stream, headers, body === undefined && trailers === undefined) === HOLD_HEAD) {
      yield* this.#until(() => stream.continuedResponse > 0);
    }
    if (this.#cutShort) return;
    this.answered = true;
    if (body !== undefined) {
      yield* this.#way(
        body,
        this.#toClient,
        (piece, last) => vm.responseBody(stream, piece, last && trailers === undefined),
        () => stream.continuedResponse,
      );
      if (this.#cutShort) return;
    }
    if (trailers !== undefined) vm.trailers(stream, trailers);
  }

  /** A body as Envoy's HTTP/1.1 codec hands it over: a piece, and then the end. */
  *#way(
    body: Uint8Array,
    to: Uint8Array[],
    hand: (piece: Uint8Array, last: boolean) => number,
    continued: () => number,
  ): Generator<undefined> {
    let held = false;
    const before = continued();
    for (const [piece, last] of [
      [body, false],
      [new Uint8Array(), true],
    ] as const) {
      if (piece.length === 0 && !last) continue;
      const action = hand(piece, last);
      if (this.#cutShort) return;
      if (action !== DROP_PIECE) to.push(this.stream.piece);
      held = action === HOLD_PIECE;
    }
    if (held) yield* this.#until(() => continued() > before);
  }

  *#until(done: () => boolean): Generator<undefined> {
    while (!done() && !this.#cutShort) yield;
  }
}
