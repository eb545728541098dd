import type { Call } from '../../filter/host/abi.ts';
import { Process } from '../../filter/host/process.ts';
import { Vm } from '../../filter/host/vm.ts';
import { compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';
import { filterModule } from '../support/filter-module.ts';

/** One Envoy with the filter and a control plane whose answers the test gives. */

const built = filterModule();

/** The control plane's clock at the process's start, in milliseconds since the epoch. */
export const EPOCH = Date.UTC(2026, 0, 1);

export const CONFIGURATION = {
  cluster: 'hfi-control-plane',
  authority: 'cp',
  token: 'secret-token',
  direction: 'inbound',
  leaseMs: 60_000,
};

export const HEADERS: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':path', '/'],
  [':authority', 'frontend'],
  [':scheme', 'http'],
];

export function made(name: string, spec: PolicyInput['spec']): Policy {
  return policy.parse({ metadata: { name }, spec });
}

/** A policy for everybody. */
export const ABORT = made('p', { rules: [{ fault: { abort: { httpStatus: 503 } } }] });

/** What a request's headers are answered with: held for the filter's own answer, or passed on. */
export const HIT = 1;
export const PASSED = 0;

export class Envoy {
  readonly process: Process;
  readonly start: bigint;
  readonly #module: WebAssembly.Module;
  /** The root of inbound traffic in each VM. */
  readonly roots = new Map<Vm, number>();

  constructor(vms = 1, configuration: object = {}, process = new Process(), module = built) {
    this.process = process;
    this.#module = module;
    this.start = process.nowNs;
    for (let i = 0; i < vms; i++) this.addVm(configuration);
  }

  addVm(configuration: object = {}): Vm {
    const vm = new Vm(this.process, this.#module);
    this.roots.set(vm, vm.configure({ ...CONFIGURATION, ...configuration }));
    return vm;
  }

  get vm(): Vm {
    const [first] = this.roots.keys();
    if (first === undefined) throw new Error('no VM');
    return first;
  }

  /** One of the filter's own metrics, by what follows `wasmcustom.hfi_`. */
  metric(name: string): number {
    return this.process.metric(`wasmcustom.hfi_${name}`);
  }

  get root(): number {
    return this.roots.get(this.vm) ?? 0;
  }

  /** The control plane's time. */
  get now(): number {
    return EPOCH + Number(this.process.nowNs - this.start) / 1e6;
  }

  /** Waits for the poll that is under way, from timer to timer, in whole milliseconds. Polls that it superseded are dropped. */
  poll(patienceMs = 10_000): Call {
    for (let step = 0, ms = 0; ms <= patienceMs; ms += step) {
      const call = this.process.takeCall();
      if (call !== undefined) {
        this.process.calls.length = 0;
        return call;
      }
      step = Math.max(1, Math.min(Math.ceil(this.process.untilTimer()), patienceMs - ms));
      this.process.advance(step);
    }
    throw new Error(`no poll within ${patienceMs} ms`);
  }

  /** Answers a poll with a ruleset of these policies, all applied at the control plane's time now unless said otherwise. */
  serve(policies: readonly Policy[], appliedAt = Math.round(this.now), call = this.poll()): string {
    const bytes = compileRuleset(
      policies.map((one) => ({ policy: one, appliedAt })),
      this.now,
    );
    return this.serveBytes(bytes, call);
  }

  serveBytes(bytes: Uint8Array, call = this.poll()): string {
    const version = rulesetVersion(bytes);
    call.vm.answer(
      call,
      [
        [':status', '200'],
        ['etag', `"${version}"`],
        ['x-hfi-time', String(Math.round(this.now))],
      ],
      bytes,
    );
    return version;
  }

  unchanged(call = this.poll()): void {
    call.vm.answer(call, [
      [':status', '304'],
      ['x-hfi-time', String(Math.round(this.now))],
    ]);
  }

  /** Sends a request with these headers in place of, or beside, the usual ones. */
  request(headers: readonly (readonly [string, string])[] = [], vm = this.vm, root = this.roots.get(vm) ?? 0, last = true) {
    const own = new Set(headers.map(([name]) => name));
    return vm.request(root, [...HEADERS.filter(([name]) => !own.has(name)), ...headers], last);
  }
}
