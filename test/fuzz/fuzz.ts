import { Envoy, made } from '../filter/envoy.ts';
import { Exchange } from '../support/wasm-exchange.ts';
import { Dice } from './dice.ts';
import { damaged, drawnRuleset, sealed } from './rulesets.ts';
import { drive } from './traffic.ts';

/** So many runs share a VM: what one leaves behind adds up, and a VM costs time. */
const RUNS_A_VM = 400;
/** As much memory as a VM may ever have taken; a leak would go beyond. */
const MOST_BYTES = 24 * 1024 * 1024;
const MOST_MS = 2000;

/** Rulesets that reached something new, from which others are made. */
export type Corpus = Uint8Array[];

/** Runs the filter on drawn and damaged input; what must never happen is thrown as an Error. */
export class Fuzzer {
  readonly #module: WebAssembly.Module | undefined;
  readonly #corpus: Corpus;
  readonly #reached: (id: number) => void;
  #envoy: Envoy;
  #runs = 0;
  /** The ruleset handed over last. */
  last: Uint8Array = new Uint8Array();

  /**
   * @param corpus is added to
   * @param reached called with the number of each place in the module that is come by
   * @param module instrumented, so that it calls `env.log_execution`
   */
  constructor(corpus: Corpus, reached: (id: number) => void = () => {}, module?: WebAssembly.Module) {
    this.#corpus = corpus;
    this.#reached = reached;
    this.#module = module;
    this.#envoy = this.#fresh();
  }

  #fresh(): Envoy {
    const envoy = new Envoy(1, {}, undefined, this.#module);
    envoy.process.reached = this.#reached;
    return envoy;
  }

  /** The control plane's time, in milliseconds since the epoch. */
  get now(): number {
    return Math.round(this.#envoy.now);
  }

  /** One run. @returns the ruleset that it began with */
  run(seed: bigint): Uint8Array {
    if (this.#runs++ % RUNS_A_VM === RUNS_A_VM - 1) this.renew();
    const dice = new Dice(seed);
    const { now } = this;
    const fresh = (): Uint8Array => (this.#corpus.length > 0 && dice.oneIn(2) ? dice.pick(this.#corpus) : drawnRuleset(dice, now));
    const spoilt = (): Uint8Array => (dice.oneIn(4) ? fresh() : sealed(damaged(fresh(), dice)));
    const begun = cpuMs();
    const first = spoilt();
    this.replay(first);
    drive(this.#envoy, dice);
    if (dice.oneIn(2)) {
      this.replay(spoilt());
      drive(this.#envoy, dice);
    }
    const took = cpuMs() - begun;
    if (took > MOST_MS) throw new Error(`${Math.round(took)} ms for one run`);
    return first;
  }

  /** Hands a ruleset over, whatever it is. */
  replay(ruleset: Uint8Array): void {
    this.last = ruleset;
    this.#envoy.serveBytes(ruleset);
  }

  /** Runs requests through what is in force. */
  drive(seed: bigint): void {
    drive(this.#envoy, new Dice(seed));
  }

  /** Looks whether the VM still does everything that it should, and takes another. */
  renew(): void {
    const envoy = this.#envoy;
    const bytes = envoy.vm.exports.memory.buffer.byteLength;
    if (bytes > MOST_BYTES) throw new Error(`a VM has taken ${bytes} bytes`);
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay_ms: 5 }, response: { body: 'changed' } } }] })]);
    const stream = envoy.vm.request(envoy.root, [[':path', '/']]);
    const exchange = new Exchange(stream, undefined, { headers: [[':status', '200']], body: new TextEncoder().encode('whole') });
    for (let ms = 0; ms < 20; ms++) {
      envoy.process.advance(1);
      exchange.advance();
    }
    const body = Buffer.from(exchange.responseBody).toString();
    if (body !== 'changed') throw new Error(`afterwards a rule isn't done any more: ${body}`);
    this.#envoy = this.#fresh();
  }
}

/** This thread's time on a processor, in milliseconds: that of a busy machine says nothing of the filter. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
