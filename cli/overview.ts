import type { InferResponseType } from 'hono/client';
import { type Client, taken } from './client.ts';
import { EXIT } from './exit-codes.ts';
import { haltInWords, resumeCommand } from './halts.ts';
import { allPolicies, type PolicyResource } from './policies.ts';
import { asTable, timeLeft } from './print.ts';
import { isUnwell, troubleOf } from './trouble.ts';

type Status = InferResponseType<Client['v1']['status']['$get'], 200>;
type Proxy = InferResponseType<Client['v1']['proxies']['$get'], 200>['items'][number];
type Counts = InferResponseType<Client['v1']['policies'][':name']['counts']['$get'], 200>;

/** How everything is. */
export interface Overview extends Status {
  readonly url: string;
  readonly items: readonly Proxy[];
}

export async function lookAround(client: Client, url: string): Promise<Overview> {
  const [status, proxies] = await Promise.all([
    client.v1.status.$get({ query: {} }).then((answer) => taken(answer)),
    client.v1.proxies.$get({ query: {} }).then((answer) => taken(answer)),
  ]);
  return { ...status, url, items: proxies.items };
}

/** The exit code that says how it is. */
export function exitOf({ etcd, items }: Overview): number {
  if (!etcd.reachable) return EXIT.noServer;
  return items.some(isUnwell) ? EXIT.refused : EXIT.done;
}

export function asLines({ url, version, replica, etcd, halts, policies, proxies, items }: Overview): string[] {
  return [
    `Control plane  ${url}, version ${version}, replica ${replica}`,
    `etcd           ${etcd.reachable ? `answers, revision ${etcd.revision}` : 'DOES NOT ANSWER: changes are refused until it does'}`,
    ...halts.map((halt) => `HALTED         ${haltInWords(halt)}; ${resumeCommand(halt)} lets it go on`),
    `Policies       ${policies.active} active, ${policies.ended} ended`,
    `Proxies        ${proxies.connected} connected, ${proxies.current} run what they should`,
    ...items.flatMap((proxy) => {
      const trouble = troubleOf(proxy);
      if (trouble !== undefined) return [`  ${proxy.name}: ${trouble}`];
      return proxy.pollFailures > 0 ? [`  ${proxy.name}: well now; ${proxy.pollFailures} polls failed since it started`] : [];
    }),
  ];
}

/** Counts are asked for one by one: of so many policies at most. */
const MOST_COUNTED = 20;

export interface PolicyLine {
  readonly policy: PolicyResource;
  readonly counts: Counts | undefined;
}

/** The policies, with what they hit. */
export async function lookAtPolicies(client: Client): Promise<PolicyLine[]> {
  const policies = await allPolicies((query) => client.v1.policies.$get({ query }).then((answer) => taken(answer)), 100);
  return Promise.all(
    policies.map(async (policy, i) => {
      if (i >= MOST_COUNTED) return { policy, counts: undefined };
      const param = { name: encodeURIComponent(policy.metadata.name) };
      // One that was deleted a moment ago has none.
      const counts = await client.v1.policies[':name'].counts
        .$get({ param, query: {} })
        .then((answer) => taken(answer))
        .catch(() => undefined);
      return { policy, counts };
    }),
  );
}

export function policyTable(lines: readonly PolicyLine[]): string[] {
  if (lines.length === 0) return [];
  const table = asTable(lines, [
    { title: 'policy', of: ({ policy }) => policy.metadata.name },
    { title: 'state', of: ({ policy, counts }) => (counts?.verdict === 'inconclusive' ? 'INCONCLUSIVE' : policy.status.state) },
    { title: 'ends in', of: ({ policy }) => timeLeft(policy.status.endsAt) },
    { title: 'hit', of: ({ counts }) => String(counts?.total.injected ?? '?') },
    { title: 'per second', of: ({ counts }) => (counts === undefined ? '?' : counts.perSecond.toFixed(1)) },
  ]);
  return ['', ...table.trimEnd().split('\n')];
}
