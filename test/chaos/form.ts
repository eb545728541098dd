const long = process.env.HFI_CHAOS === 'long';

/** How much is done: little in `npm test`, more in `npm run chaos`. */
export const FORM = {
  /** Kills of replicas under load. */
  kills: long ? 200 : 10,
  /** Histories of the policy API that are checked. */
  histories: long ? 10 : 1,
  /** Drawn requests for each operation of the API, by each role. */
  requestsPerOperation: long ? 200 : 12,
  /** Proxies that come back at once. */
  proxies: long ? 10_000 : 2000,
} as const;
