import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FILTER_PATH } from '../../build/filter.ts';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { bootstrap } from '../../cli/sandbox/bootstrap.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { RulesetServer } from '../bench/ruleset-server.ts';
import { Processes, until } from '../support/processes.ts';
import type { Header } from './case.ts';
import { type Answer, Client } from './client.ts';
import { type Arrived, authorityOf, type Host, hasBody, type Seen, type Trial, wireHeaders } from './host.ts';
import { kindsOf, ruleNamed } from './kinds.ts';
import { selfSigned, withMutualTls } from './mutual-tls.ts';
import { type Told, toldBy, withTold } from './told.ts';
import { UpstreamServer } from './upstream.ts';

/**
 * The filter in a real Envoy, before a real service. One Envoy serves all cases: which policies select a case's proxy is
 * decided before, so only its ruleset changes, and a case begins when every worker has acknowledged it.
 */

const NAME = 'conformance';
const WORKLOAD = 'conformance-v1';
/** The timers of Envoy follow the kernel's clock, and the machine has other things to do. */
const LATE_MS = 50;
/** Repeats that are sent side by side. */
const WIDTH = 20;
/** Headers of one hop only, and those that Envoy takes for itself or writes anew. */
const HOP =
  /^(connection|keep-alive|proxy-connection|transfer-encoding|te|upgrade|expect|content-length|date|server|x-request-id|x-forwarded-.*|x-envoy-.*)$/i;

/** The filter's counters of what it did. */
const COUNTERS = ['delays', 'aborts', 'request_changes', 'response_changes'] as const;
type Counter = (typeof COUNTERS)[number];

/** Starts Envoy, its service and what serves its rulesets. */
export async function inEnvoy(): Promise<Host> {
  const processes = await Processes.begin();
  const upstream = await UpstreamServer.start();
  const server = await RulesetServer.start(new Map([[WORKLOAD, compileRuleset([], Date.now())]]));
  const client = new Client();
  const end = async (): Promise<void> => {
    client.end();
    server.stop();
    await processes.end();
    upstream.stop();
  };
  try {
    const ports = await startEnvoy(processes, upstream.port, server.port);
    // One worker and the main thread.
    await server.hasVms(WORKLOAD, 2);
    const host = new InEnvoy(ports, upstream, server, client, end);
    await host.warm();
    return host;
  } catch (error) {
    await end();
    throw error;
  }
}

interface Ports {
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
  /** Inbound with mutual TLS. */
  readonly tls: number;
}

async function startEnvoy(processes: Processes, upstreamPort: number, controlPlanePort: number): Promise<Ports> {
  const [inbound = 0, outbound = 0, admin = 0, tls = 0] = await freePorts(4);
  const upstream = { host: '127.0.0.1', port: upstreamPort };
  const configuration = bootstrap({
    name: NAME,
    namespace: 'demo',
    workload: WORKLOAD,
    labels: {},
    adminPort: admin,
    inbound: { port: inbound, upstream },
    outbound: { port: outbound, upstream },
    controlPlane: { host: '127.0.0.1', port: controlPlanePort, token: 'conformance' },
    filter: FILTER_PATH,
    leaseMs: 60_000,
    accessLog: join(processes.folder, 'access.log'),
  });
  const file = join(processes.folder, 'envoy.json');
  const certificate = await selfSigned(`spiffe://cluster.local/ns/demo/sa/${NAME}`);
  writeFileSync(file, JSON.stringify(withMutualTls(withTold(configuration), tls, certificate)));
  const { path } = await findBinary('envoy');
  processes.start(path, ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']);
  await until(async () => (await fetch(`http://127.0.0.1:${admin}/ready`).catch(() => undefined))?.ok === true, 'Envoy is ready');
  return { inbound, outbound, admin, tls };
}

/** An answer, and of a trial in order what the service had got. */
type Sent = Answer & Pick<Seen, 'service'>;

class InEnvoy implements Host {
  readonly lateMs = LATE_MS;
  readonly end: () => Promise<void>;
  readonly #ports: Ports;
  readonly #upstream: UpstreamServer;
  readonly #server: RulesetServer;
  readonly #client: Client;
  #inForce = '';
  /** What Envoy's counters of faults stood at before this case. */
  #counters: Readonly<Record<Counter, number>> = { delays: 0, aborts: 0, request_changes: 0, response_changes: 0 };
  #appliedAt = 0;

  constructor(ports: Ports, upstream: UpstreamServer, server: RulesetServer, client: Client, end: () => Promise<void>) {
    this.#ports = ports;
    this.#upstream = upstream;
    this.#server = server;
    this.#client = client;
    this.end = end;
  }

  /** Opens every connection that a case could use: a first request takes 20 ms longer than another. */
  async warm(): Promise<void> {
    const request = { method: 'GET', path: '/', authority: 'x', headers: [], body: '' };
    for (const direction of ['inbound', 'outbound'] as const) await this.#send({ request, direction, repeat: 5 * WIDTH, inOrder: false });
    this.#upstream.take();
  }

  async run(trial: Trial): Promise<Seen[]> {
    if (trial.request.peer !== undefined) {
      throw new Error("only Istio's own Envoy is told of the caller's workload: request.peer is for Node");
    }
    // Each case is an apply of its own, with counts of its own.
    this.#appliedAt = Math.max(Date.now(), this.#appliedAt + 1);
    await this.#putInForce(trial.ruleset(this.#appliedAt));
    this.#upstream.answer = trial.upstream;
    const sent = await this.#send(trial).catch((error: Error) => error);
    // Taken in any case, so that what a failed case leaves doesn't count for the next.
    const [arrived, counted] = [this.#upstream.take(), await this.#newFaults()];
    if (sent instanceof Error) throw sent;
    return classified(trial, sent, [...sent.flatMap(({ service }) => service ?? []), ...arrived], counted);
  }

  async #putInForce(ruleset: Uint8Array): Promise<void> {
    const version = rulesetVersion(ruleset);
    if (version === this.#inForce) return;
    await this.#server.replace(WORKLOAD, ruleset);
    this.#inForce = version;
  }

  async #send({ request, direction, repeat, inOrder }: Pick<Trial, 'request' | 'direction' | 'repeat' | 'inOrder'>): Promise<Sent[]> {
    const answers: Sent[] = [];
    const port = request.source === undefined ? this.#ports[direction] : this.#ports.tls;
    let left = repeat;
    const lane = async (): Promise<void> => {
      while (left-- > 0) {
        const answer = await this.#client.send(port, request);
        answers.push(inOrder ? { ...answer, service: this.#upstream.take()[0] } : answer);
      }
    };
    await Promise.all(Array.from({ length: inOrder ? 1 : Math.min(WIDTH, repeat) }, lane));
    return answers;
  }

  /** How many faults of each kind were done since it was asked last: an answer alone can't tell a short delay from a slow machine. */
  async #newFaults(): Promise<Record<Counter, number>> {
    const page = await (await fetch(`http://127.0.0.1:${this.#ports.admin}/stats?filter=hfi_faults_`)).text();
    const before = this.#counters;
    const countNow = (counter: Counter): number =>
      Number(new RegExp(`hfi_faults_${counter}_total: (\\d+)`).exec(page)?.[1] ?? before[counter]);
    const now = Object.fromEntries(COUNTERS.map((counter) => [counter, countNow(counter)])) as Record<Counter, number>;
    this.#counters = now;
    return Object.fromEntries(COUNTERS.map((counter) => [counter, now[counter] - before[counter]])) as Record<Counter, number>;
  }
}

interface Exchanged extends Told {
  readonly answer: Sent;
}

/** What became of each request; the delayed ones are those faulted ones that took longest. */
function classified(trial: Trial, answers: readonly Sent[], arrived: readonly Arrived[], counted: Record<Counter, number>): Seen[] {
  const requestChanged = counted.request_changes > 0;
  if (!requestChanged && arrived.some((one) => !isUntouched(one, trial))) throw new Error('the service got another request than was sent');
  const all = answers.map((answer): Exchanged => ({ answer, ...toldBy(answer.headers) }));
  const faulted = all.filter(({ answer, maker, fault }) => answer.broken || maker === 'filter' || fault !== undefined);
  const slowest = new Set([...faulted].sort((a, b) => b.answer.ms - a.answer.ms).slice(0, counted.delays));
  const isFaulted = new Set(faulted);
  return all.map((one): Seen => {
    const { headers, maker, fault, shadow } = one;
    const { status, body, ms, broken, service } = one.answer;
    if (!isFaulted.has(one) && !isServices(one, trial)) throw new Error(`an answer (${status}) is not the service's, and names no rule`);
    const named = ruleNamed(headers);
    const kinds = kindsOf({
      reset: broken,
      aborted: !broken && maker === 'filter',
      delayed: slowest.has(one),
      responseChanged: maker === 'service' && fault !== undefined && named === fault,
      requestChanged: requestChanged && isFaulted.has(one),
    });
    const rule = maker === 'filter' ? named : (fault ?? shadow);
    return { kinds, rule, status, headers, body, delayMs: Math.round(ms * 10) / 10, service };
  });
}

/** Whether the answer is the service's, unchanged. */
function isServices({ answer: { status, body }, headers }: Exchanged, { request, upstream }: Trial): boolean {
  const sent = hasBody(request.method, upstream.status) ? upstream.body : '';
  return status === upstream.status && body === sent && hasAll(headers, upstream.headers);
}

/** Whether the service got the request as it was sent. */
function isUntouched({ method, path, headers, body }: Arrived, { request }: Trial): boolean {
  const isSame = method === request.method && path === request.path && body === request.body;
  return isSame && hasAll(headers, [['host', authorityOf(request)], ...wireHeaders(request)]);
}

/** Envoy joins some headers that are sent several times, leaving out what is empty, and lets others be. */
function hasAll(headers: readonly Header[], wanted: readonly Header[]): boolean {
  const joined = (list: readonly Header[], name: string): string =>
    list
      .filter((one) => one[0].toLowerCase() === name && one[1] !== '')
      .map(([, value]) => value)
      .join(name === 'cookie' ? '; ' : ',');
  return wanted.every(([given]) => {
    const name = given.toLowerCase();
    return HOP.test(name) || joined(headers, name) === joined(wanted, name);
  });
}
