import type { InferResponseType } from 'hono/client';
import type { Client } from './client.ts';
import type { PolicyResource } from './policies.ts';

type Condition = NonNullable<PolicyResource['spec']['stopWhen']>[number];
type Standing = InferResponseType<Client['v1']['policies'][':name']['stop-conditions']['$get'], 200>['conditions'][number];

/** `1000 requests are hit`, `prometheus: up is below 1 for 30s`. */
export function stopInWords({ injected, prometheus, above, below, for: time, onNoData }: Condition): string {
  if (prometheus === undefined) return `${injected ?? 0} requests are hit`;
  const limit = above === undefined ? `below ${below ?? 0}` : `above ${above}`;
  const noData = onNoData === 'ignore' ? '' : ' or has no data';
  return `prometheus: ${prometheus} is ${limit}${noData}${time === undefined ? '' : ` for ${time}`}`;
}

/** `; now 0.01, evaluated 0.4s ago by hfi-1`. */
export function standingInWords({ state, value, problem, evaluatedAt, since, replica }: Standing, now = Date.now()): string {
  if (state === 'not-evaluated' || evaluatedAt === null) return '; not evaluated now';
  const ago = (time: string): string => `${(Math.max(0, now - Date.parse(time)) / 1000).toFixed(1)}s`;
  const is = state === 'no-data' ? `no data (${problem})` : String(value);
  const lasting = since === null ? '' : `, for ${ago(since)} already`;
  return `; now ${is}${lasting}, evaluated ${ago(evaluatedAt)} ago by ${replica}`;
}
