/** How large the parts of a policy may be. */
export const LIMITS = {
  /** Longest delay of one request, in milliseconds: one hour. */
  delayMs: 3_600_000,
  /** Longest way of a ramp, in milliseconds: a week. */
  rampMs: 604_800_000,
  /** Longest life of a rule, in seconds: thirty days. */
  durationSeconds: 2_592_000,
  /** Shortest and longest lease of a policy's owner, in milliseconds. */
  leastLeaseMs: 5000,
  mostLeaseMs: 3_600_000,
  /** Characters of a query to Prometheus, and the longest time for which its answer must hold, in milliseconds. */
  queryLength: 2000,
  stopForMs: 3_600_000,
  /** Rules in one policy. */
  rules: 10_000,
  /** Bytes of a body that a rule gives. */
  bodyBytes: 65_536,
  /** UTF-8 bytes of a value that a match compares with. */
  matchBytes: 4096,
  /** UTF-8 bytes of a text that is looked for anywhere in a value, which takes their product in the worst case. */
  containsBytes: 256,
  /** Characters of a regular expression. */
  regexLength: 1024,
  /** Steps that it may take to compile all regular expressions of a document: about a second. */
  regexWork: 2_000_000,
  /** Headers, in a match or of an answer, labels of a selector, and alternatives. */
  entries: 64,
  /** UTF-8 bytes of a parameter's value that a rule writes. */
  parameterBytes: 1024,
  /** How deep `not` and `anyOf` nest. */
  depth: 4,
  /** Bytes a second of a throttled body, at most: 1 GiB. */
  throttleBytes: 1_073_741_824,
  /** Percentages have four decimals. */
  percentageStep: 0.0001,
} as const;
