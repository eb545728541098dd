import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { canonicalService } from '../../policy/selector.ts';
import { coversSelector, seesNamespace } from '../access/scope.ts';
import { isConnected, type KnownProxy } from '../fleet/proxy.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

export const scopeParam = z
  .enum(['local', 'all'])
  .default('all')
  .describe('`local` asks this replica alone; replicas use it among themselves.');

export const proxyResource = z
  .object({
    name: z.string().describe("The Envoy node's id."),
    namespace: z.string(),
    workload: z.string(),
    service: z.string().describe("Istio's canonical service name."),
    labels: z.record(z.string(), z.string()),
    replica: z.string().describe('The replica of the control plane that it polls.'),
    connected: z.boolean(),
    firstSeen: z.iso.datetime(),
    lastSeen: z.iso.datetime(),
    version: z.string().describe('The ruleset that all its workers run.'),
    wanted: z.string().describe('The ruleset that it should run.'),
    current: z.boolean(),
    refused: z.object({ count: z.int(), reason: z.string() }).nullable().describe('Rulesets that it refused.'),
    unreadable: z.array(z.string()).describe('What of its identity could not be read; no policy selects it then.'),
    layoutFits: z.boolean().describe('False when its filter reads another ruleset layout than this control plane writes.'),
    pollFailures: z.int(),
    filter: z.string(),
    vms: z.int(),
    leaseMs: z.int(),
    requestsPerSecond: z
      .object({ inbound: z.number(), outbound: z.number() })
      .nullable()
      .describe(
        'Requests that came by lately, with or without rules, over the time between two of its polls, 25 s mostly; null until known.',
      ),
    selectedBy: z.array(z.string()).describe('The policies in force for it.'),
  })
  .openapi('Proxy');

export type ProxyResource = z.output<typeof proxyResource>;

const proxyList = z
  .object({
    items: z.array(proxyResource),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked; their proxies are missing here.'),
  })
  .openapi('ProxyList');

/** The connected proxies and what they run. */
export function proxyRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/proxies',
    operationId: 'listProxies',
    summary: 'Lists the proxies that poll, of all replicas.',
    tags: ['proxies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: { query: z.strictObject({ scope: scopeParam }) },
    responses: {
      200: { description: 'The proxies by name.', content: { 'application/json': { schema: proxyList } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const local = c.req.valid('query').scope === 'local';
    return c.json(await allProxies(parts, c, local), 200);
  });
}

/** The proxies that the caller may see, of this replica and, unless `local`, of the others. */
export async function allProxies(parts: Parts, c: Context<Env>, local: boolean): Promise<z.output<typeof proxyList>> {
  const now = parts.runtime.clock.now();
  const caller = c.get('actor');
  const sees = (name: string): boolean => {
    const stored = parts.copy.policies.get(name);
    return caller.namespaces === undefined || (stored !== undefined && coversSelector(caller, stored.policy.spec.selector));
  };
  const own = [...parts.fleet.proxies]
    .filter(({ hello }) => seesNamespace(caller, hello.namespace))
    .map((proxy) => asResource(proxy, parts.replica, now))
    .map((proxy) => ({ ...proxy, selectedBy: proxy.selectedBy.filter(sees) }));
  if (local) return { items: own.sort(byName), incomplete: [] };
  // The others are asked with the caller's own token, and show what it may see.
  const authorization = c.req.header('authorization') ?? '';
  const { answers, incomplete } = await parts.peers.ask('/v1/proxies?scope=local', proxyList, authorization, 0, c.req.raw.signal);
  return { items: latest([...own, ...answers.flatMap((answer) => answer.items)]), incomplete: [...incomplete] };
}

/** The connected proxies of all replicas that policies can select, and the replicas that could not be asked. */
export async function selectableProxies(parts: Parts, c: Context<Env>): Promise<z.output<typeof proxyList>> {
  const { items, incomplete } = await allProxies(parts, c, false);
  return { items: items.filter(({ connected, unreadable }) => connected && unreadable.length === 0), incomplete };
}

/** A proxy that moved is known to two replicas: the one it is connected to, or else heard it last, is right. */
function latest(found: readonly ProxyResource[]): ProxyResource[] {
  const best = new Map<string, ProxyResource>();
  for (const proxy of found) {
    const other = best.get(proxy.name);
    const better = other === undefined || (proxy.connected === other.connected ? proxy.lastSeen > other.lastSeen : proxy.connected);
    if (better) best.set(proxy.name, proxy);
  }
  return [...best.values()].sort(byName);
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** A proxy as the API shows it, at `now` in milliseconds since the epoch. */
export function asResource(proxy: KnownProxy, replica: string, now: number): ProxyResource {
  const { hello, group } = proxy;
  const wanted = group.ruleset.version;
  return {
    name: hello.name,
    namespace: hello.namespace,
    workload: hello.workload,
    service: canonicalService(hello),
    labels: { ...hello.labels },
    replica,
    connected: isConnected(proxy, now),
    firstSeen: new Date(proxy.firstSeen).toISOString(),
    lastSeen: new Date(proxy.waiter === undefined ? proxy.lastSeen : now).toISOString(),
    version: hello.acknowledged,
    wanted,
    current: hello.acknowledged === wanted && hello.layoutFits,
    refused: hello.refused,
    unreadable: hello.namespace === '' && hello.unreadable.length === 0 ? ['namespace'] : [...hello.unreadable],
    layoutFits: hello.layoutFits,
    pollFailures: hello.pollFailures,
    filter: hello.filter,
    vms: hello.vms,
    leaseMs: hello.leaseMs,
    requestsPerSecond: proxy.traffic.perSecond ?? null,
    selectedBy: [...group.ruleset.policies],
  };
}
