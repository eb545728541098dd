import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, medianInterval } from '../bench/statistics.ts';
import { processorTime, residentMemory, until } from '../support/processes.ts';
import { type TestStack, theStack, urlOf } from './stack.ts';
import { injectedNamespace, SHOP, service } from './workloads/workloads.ts';

/** A namespace that has not opted in. */
const PLAIN = 'plain';
/** The same service in both namespaces, as old in one as in the other. */
const MEASURED = 'measured';
const REPLICAS = 3;
const REQUESTS = 2000;
const ROUNDS = 15;
const IDLE_MS = 5000;

/** The processes of a sidecar on this machine: Envoy and the agent that started it. */
interface Sidecar {
  readonly envoy: number;
  readonly agent: number;
}

/** Prints what a sidecar costs with the filter and no rule, beside sidecars without it. Reads the processes, so the node must be this machine. */
function whatASidecarCosts(this: Mocha.Suite): void {
  this.timeout(240_000);
  let stack: TestStack;
  let filtered: Sidecar[] = [];
  let plain: Sidecar[] = [];

  before(async () => {
    stack = await theStack();
    await stack.objects.apply(injectedNamespace(PLAIN));
    for (const namespace of [PLAIN, SHOP]) {
      for (const one of service(MEASURED, REPLICAS, namespace)) await stack.objects.apply(one);
    }
    plain = sidecars(await stack.readyPods(PLAIN, `app=${MEASURED}`, REPLICAS), PLAIN);
    filtered = sidecars(await stack.readyPods(SHOP, `app=${MEASURED}`, REPLICAS), SHOP);
  });
  after(async () => {
    await stack.objects.remove(injectedNamespace(PLAIN));
    for (const one of service(MEASURED, REPLICAS, SHOP)) await stack.objects.remove(one);
  });

  it('memory, and processor time per request', async () => {
    const timeOf = (of: readonly Sidecar[]): number => sum(of.map(({ envoy }) => processorTime(envoy)));
    /** Nanoseconds of processor time that the sidecars take in a millisecond without requests. */
    const idle = new Map<readonly Sidecar[], number>();
    for (const ones of [plain, filtered]) {
      const before = timeOf(ones);
      await sleep(IDLE_MS);
      idle.set(ones, (timeOf(ones) - before) / IDLE_MS);
    }
    /** Microseconds of the sidecars' processor time for a request. */
    const round = async (namespace: string, of: readonly Sidecar[]): Promise<number> => {
      const begun = performance.now();
      const before = timeOf(of);
      const answers = await stack.caller('/burst', { url: urlOf(MEASURED, namespace), count: REQUESTS });
      assert.deepEqual(answers, { 200: REQUESTS });
      const anyway = (idle.get(of) ?? 0) * (performance.now() - begun);
      return (timeOf(of) - before - anyway) / 1000 / REQUESTS;
    };
    // The caller's sidecar hears of a new service a moment after its pods are ready.
    for (const namespace of [PLAIN, SHOP]) {
      const answers = (): Promise<Record<string, number>> => stack.caller('/burst', { url: urlOf(MEASURED, namespace), count: 200 });
      await until(async () => (await answers())['200'] === 200, `all of ${namespace} answer`);
    }
    await round(PLAIN, plain);
    await round(SHOP, filtered);
    const added: number[] = [];
    const without: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const plainFirst = i % 2 === 0;
      const first = await (plainFirst ? round(PLAIN, plain) : round(SHOP, filtered));
      const second = await (plainFirst ? round(SHOP, filtered) : round(PLAIN, plain));
      without.push(plainFirst ? first : second);
      added.push(plainFirst ? second - first : first - second);
    }
    const { low, high } = medianInterval(added);
    const megabytes = (of: readonly Sidecar[], part: 'envoy' | 'agent'): number => median(of.map((one) => residentMemory(one[part]) / 1e6));
    const memory = (['envoy', 'agent'] as const).map((part) => {
      const [more, base] = [megabytes(filtered, part), megabytes(plain, part)];
      return `${part} ${more.toFixed(1)} MB beside ${base.toFixed(1)} MB: ${(more - base).toFixed(1)} MB more`;
    });
    const [idleMore, idleBase] = [filtered, plain].map((of) => ((idle.get(of) ?? 0) / REPLICAS / 1000).toFixed(1));
    const time = `${median(added).toFixed(1)} µs more (${low.toFixed(1)} to ${high.toFixed(1)}) beside ${median(without).toFixed(1)} µs`;
    process.stdout.write(
      `      a sidecar, median of ${REPLICAS}: ${memory.join('; ')}\n      a request: ${time}; idle: ${idleMore} ms/s beside ${idleBase} ms/s\n`,
    );
  });
}

if (process.env.HFI_TEST_BED !== undefined) describe('cluster: what a sidecar costs', whatASidecarCosts);

/** Finds the processes of the sidecars of these pods. @throws Error when one isn't on this machine */
function sidecars(pods: readonly string[], namespace: string): Sidecar[] {
  const envoys = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readOf(`/proc/${name}/comm`).trim() === 'envoy')
    .map((name) => ({ pid: Number(name), environment: readOf(`/proc/${name}/environ`).split('\0') }));
  return pods.map((pod) => {
    const found = envoys.find(
      ({ environment }) => environment.includes(`POD_NAME=${pod}`) && environment.includes(`POD_NAMESPACE=${namespace}`),
    );
    assert.ok(found !== undefined, `the sidecar of ${namespace}/${pod} runs on this machine`);
    return { envoy: found.pid, agent: Number(/^PPid:\s*(\d+)/m.exec(readOf(`/proc/${found.pid}/status`))?.[1]) };
  });
}

function readOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The process has ended.
    return '';
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}
