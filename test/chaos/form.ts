const long = process.env.HFI_CHAOS === 'long';

/** How much is done: little in `npm test`, more in `npm run chaos`. */
export const FORM = {
  /** Kills of replicas under load. */
  kills: Number(process.env.HFI_CHAOS_KILLS ?? (long ? 200 : 10)),
  /** Histories of the policy API that are checked. */
  histories: long ? 10 : 1,
  /** Drawn requests for each operation of the API, by each role. */
  requestsPerOperation: long ? 200 : 4,
  /** Phases of schemathesis: every boundary of each schema, and draws. The boundaries take half a minute for the whole API. */
  thoroughly: long ? 'examples,coverage,fuzzing' : 'coverage',
  briefly: long ? 'examples,coverage,fuzzing' : 'fuzzing',
  /** The same draws each time, or others. */
  seed: long ? [] : ['--seed', '1'],
  /** Proxies that come back at once. */
  proxies: long ? 10_000 : 2000,
} as const;
