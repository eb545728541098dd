import type { InferResponseType } from 'hono/client';
import type { Client } from './client.ts';

type Written = InferResponseType<Client['v1']['policies'][':name']['$put'], 200>;
export type Traffic = NonNullable<Written['traffic']>;

/** How many requests a policy would meet, and hit. @param proxies how many it selects */
export function trafficInWords({ requestsPerSecond, mostHitPerSecond, untold }: Traffic, proxies: number): string {
  if (untold === proxies) return 'how many requests come by there is not known yet: proxies tell it after half a minute';
  if (requestsPerSecond === 0) return 'no request came by there lately';
  const hit = mostHitPerSecond === 0 ? 'none of them would be hit' : `at most ${few(mostHitPerSecond)} of them would be hit`;
  const rest = untold === 0 ? '' : ` (${untold} of ${proxies} have not told yet)`;
  return `about ${few(requestsPerSecond)} requests a second came by there lately, ${hit}${rest}`;
}

/** Two digits that count: it is an estimate. */
function few(perSecond: number): string {
  return String(Number(perSecond.toPrecision(2)));
}
