import type { Call } from './abi.ts';
import { bytes, pairs } from './header-pairs.ts';
import type { Vm } from './vm.ts';

interface Due {
  readonly vm: Vm;
  readonly root: number;
  readonly timer: { at: bigint; readonly period: bigint };
  readonly at: bigint;
}

/** What all VMs of one Envoy have in common. */
export class Process {
  /** Nanoseconds on the monotonic clock. */
  nowNs = 1_000_000_000_000n;
  /** How much time passes with each look at the clock, in nanoseconds: that of a machine which computes, not of one which is asked. */
  lookNs = 0n;
  readonly properties = new Map<string, Uint8Array>();
  readonly shared = new Map<string, { value: Uint8Array; cas: number }>();
  readonly queues = new Map<number, { name: string; vm: Vm; messages: Uint8Array[] }>();
  readonly metrics = new Map<string, { id: number; type: number; value: bigint; records: bigint[] }>();
  readonly metricNames: string[] = [''];
  readonly logs: string[] = [];
  /** The filter's polls. */
  readonly calls: Call[] = [];
  readonly reports: Call[] = [];
  readonly vms: Vm[] = [];
  /** Told the number of each place that an instrumented filter comes by. */
  reached: (place: number) => void = () => {};
  /** Makes `proxy_http_call` fail at once, as for an unknown cluster. */
  refuseCalls = false;
  /** Workers whose timers fire late, as those of a busy one do: by so many nanoseconds. */
  readonly late = new Map<Vm, bigint>();
  #next = 1;
  #entropy = 1n;

  constructor(identity: { node?: string; namespace?: string; workload?: string; labels?: Record<string, string> } = {}) {
    const node = ['xds', 'node'];
    const set = (path: string[], value: Uint8Array | undefined): void => {
      if (value !== undefined) this.properties.set([...node, ...path].join('\0'), value);
    };
    set(['id'], bytes(identity.node ?? 'sidecar~127.0.0.1~frontend-v1-0.demo~demo.svc.cluster.local'));
    set(['metadata', 'NAMESPACE'], bytes(identity.namespace ?? 'demo'));
    set(['metadata', 'WORKLOAD_NAME'], bytes(identity.workload ?? 'frontend-v1'));
    set(['metadata', 'LABELS'], pairs(Object.entries(identity.labels ?? { app: 'frontend' })));
  }

  nextId(): number {
    return this.#next++;
  }

  /** Deterministic "entropy": SplitMix64 of a counter. */
  entropy(): bigint {
    this.#entropy = BigInt.asUintN(64, this.#entropy + 0x9e3779b97f4a7c15n);
    let z = this.#entropy;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  metric(name: string): number {
    return Number(this.metrics.get(name)?.value ?? 0n);
  }

  /** What a VM sees when it looks at the clock. */
  look(): bigint {
    this.nowNs += this.lookNs;
    return this.nowNs;
  }

  /** Moves the clock, firing every timer at its moment, and hands out queue messages. */
  advance(ms: number): void {
    const until = this.nowNs + BigInt(Math.round(ms * 1e6));
    for (;;) {
      this.deliver();
      const due = this.#nextTimer();
      if (due === undefined || due.at > until) break;
      if (due.at > this.nowNs) this.nowNs = due.at;
      due.timer.at = this.nowNs + due.timer.period;
      due.vm.enter(() => due.vm.exports.proxy_on_tick(due.root), due.root);
    }
    if (until > this.nowNs) this.nowNs = until;
  }

  /** How long until a timer fires, in milliseconds; without any, for ever. */
  untilTimer(): number {
    const due = this.#nextTimer();
    return due === undefined ? Number.POSITIVE_INFINITY : Number(due.at - this.nowNs) / 1e6;
  }

  /** Of timers that fire at one moment, the first VM's. */
  #nextTimer(): Due | undefined {
    let next: Due | undefined;
    for (const vm of this.vms) {
      if (vm.dead) continue;
      for (const [root, timer] of vm.timers) {
        const at = timer.at + (this.late.get(vm) ?? 0n);
        if (next === undefined || at < next.at) next = { vm, root, timer, at };
      }
    }
    return next;
  }

  /** Hands out the messages that wait in queues. */
  deliver(): void {
    for (const [token, queue] of this.queues) {
      if (queue.messages.length > 0 && queue.vm.queueRoot !== 0 && !queue.vm.dead) {
        queue.vm.enter(() => queue.vm.exports.proxy_on_queue_ready(queue.vm.queueRoot, token), queue.vm.queueRoot);
      }
    }
  }

  /** The newest call that nobody has answered, taken off the list. */
  takeCall(): Call | undefined {
    return this.calls.pop();
  }
}
