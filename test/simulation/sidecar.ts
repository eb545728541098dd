import { REPORTS_PATH } from '../../filter/assembly/protocol.ts';
import type { Call, Stream } from '../../filter/host/abi.ts';
import { Process } from '../../filter/host/process.ts';
import { Vm } from '../../filter/host/vm.ts';
import type { Dice } from '../fuzz/dice.ts';
import { askOver, type HttpAnswer, type Server } from './http.ts';
import type { Network } from './network.ts';
import { TOKENS } from './replica.ts';
import type { Scheduler } from './scheduler.ts';

export interface Workload {
  readonly namespace: string;
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly module: WebAssembly.Module;
  /** Where a call of the filter goes. */
  readonly server: (proxy: Sidecar) => Server;
  readonly leaseMs: number;
}

/** What became of a request. */
export interface Outcome {
  /** The tag of the apply whose rule answered it; undefined when it passed. */
  readonly tag: string | undefined;
}

/** What the simulation wants to know of a proxy. */
export interface SidecarEvents {
  /** An answer to a poll came, and not too late. */
  heard(proxy: Sidecar, answer: HttpAnswer): void;
  /** A report was taken. */
  reported(proxy: Sidecar, epoch: string, body: string, by: string): void;
}

const HEADERS = [
  [':method', 'GET'],
  [':authority', 'frontend'],
  [':scheme', 'http'],
] as const;

/** An Envoy whose VMs run the real filter. It is killed and started again as another process. */
export class Sidecar {
  readonly name: string;
  readonly workload: Workload;
  /** Counts its processes. */
  process = 0;
  readonly #surroundings: Surroundings;
  readonly #events: SidecarEvents;
  readonly #dice: Dice;
  readonly #vms: number;
  #envoy: Process | undefined;
  readonly #roots = new Map<Vm, number>();
  /** The simulation's time to which the process's clock has come. */
  #at = 0;
  #cancelWake = (): void => undefined;

  constructor(name: string, workload: Workload, vms: number, surroundings: Surroundings, events: SidecarEvents) {
    this.name = name;
    this.workload = workload;
    this.#vms = vms;
    this.#surroundings = surroundings;
    this.#events = events;
    this.#dice = surroundings.scheduler.fork();
  }

  get alive(): boolean {
    return this.#envoy !== undefined;
  }

  start(): void {
    if (this.#envoy !== undefined) return;
    const { scheduler, module, leaseMs } = this.#surroundings;
    this.process++;
    scheduler.note(`${this.name} starts, process ${this.process}`);
    const { namespace, labels } = this.workload;
    const entropy = (BigInt(this.#dice.word()) << 32n) | BigInt(this.#dice.word());
    const envoy = new Process({ node: this.name, namespace, workload: `${this.workload.service}-v1`, labels: { ...labels } }, entropy);
    envoy.nowNs += BigInt(this.#dice.word()) * 1000n;
    this.#envoy = envoy;
    this.#at = scheduler.now;
    this.#roots.clear();
    for (let i = 0; i < this.#vms; i++) {
      const vm = new Vm(envoy, module);
      this.#roots.set(vm, vm.configure({ cluster: 'hfi', authority: 'hfi', token: TOKENS.proxy, direction: 'inbound', leaseMs }));
    }
    this.#settle();
  }

  kill(): void {
    if (this.#envoy === undefined) return;
    this.#surroundings.scheduler.note(`${this.name} is killed`);
    this.#envoy = undefined;
    this.#cancelWake();
  }

  /** Sends a request to the workload. */
  request(path: string): Outcome {
    const envoy = this.#catchUp();
    const vm = this.#dice.pick([...this.#roots.keys()]);
    const stream = vm.request(this.#roots.get(vm) ?? 0, [...HEADERS, [':path', path]]);
    const outcome = { tag: tagOf(stream) };
    vm.end(stream);
    if (envoy !== undefined) this.#settle();
    return outcome;
  }

  #catchUp(): Process | undefined {
    const { scheduler } = this.#surroundings;
    this.#envoy?.advance(scheduler.now - this.#at);
    this.#at = scheduler.now;
    return this.#envoy;
  }

  /** Sends what the filter wants to send, and wakes it when its next timer is due. */
  #settle(): void {
    const envoy = this.#envoy;
    if (envoy === undefined) return;
    envoy.deliver();
    for (const call of [...envoy.calls.splice(0), ...envoy.reports.splice(0)]) this.#send(envoy, call);
    this.#cancelWake();
    const ms = envoy.untilTimer();
    if (Number.isFinite(ms)) this.#cancelWake = this.#surroundings.scheduler.after(Math.max(ms, 0.01), () => this.#wake());
  }

  #wake(): void {
    this.#catchUp();
    this.#settle();
  }

  #send(envoy: Process, call: Call): void {
    const { scheduler } = this.#surroundings;
    const { ':method': method = 'GET', ':path': path = '', ':authority': _, ...headers } = call.headers;
    const request = { method, path, headers, ...(call.body === '' ? {} : { body: call.body }) };
    askOver(this.#surroundings, this.name, this.#surroundings.server(this), request, call.timeoutMs, (answer) => {
      if (this.#envoy !== envoy) return;
      this.#catchUp();
      scheduler.note(`${this.name} ${path} -> ${answer?.status ?? 'no answer'} by ${answer?.by ?? ''}`);
      if (answer !== undefined && path === REPORTS_PATH && answer.status === 204)
        this.#events.reported(this, call.headers['x-hfi-epoch'] ?? '', call.body, answer.by);
      if (answer !== undefined && path !== REPORTS_PATH && (answer.status === 200 || answer.status === 304)) {
        this.#events.heard(this, answer);
      }
      call.vm.answer(call, answer?.headers ?? [], answer?.body);
      this.#settle();
    });
  }
}

/** Which apply's rule answered, by the body that only this apply gives. */
function tagOf(stream: Stream): string | undefined {
  return stream.replies[0]?.body;
}
