/**
 * What is counted of one rule in one VM: a record of 144 bytes. Portable like `layout.ts`: the control plane takes the counters'
 * names from here.
 *
 * ```
 * +----------+------------------------+-----------+
 * | key (8)  | 16 counters, u64 each  | rest (8)  |
 * +----------+------------------------+-----------+
 * ```
 *
 * A request that a rule's match fits ends in exactly one of `injected` and the skipped ones, so their sum is how often it matched.
 * The kinds say what was done to the injected ones, when it was done: a request can have several, or none when its client left first.
 */
export const TALLY_BYTES: u32 = 144;
export const TALLY_KEY: u32 = 0;
/** Belongs to whoever keeps the record. */
export const TALLY_REST: u32 = 136;

export const FIRST_COUNTER: u32 = 8;
export const INJECTED: u32 = 8;
export const ABORTED: u32 = 16;
export const DELAYED: u32 = 24;
export const RESET: u32 = 32;
export const REQUEST_CHANGED: u32 = 40;
export const RESPONSE_CHANGED: u32 = 48;
/** The dice were lost. */
export const SKIPPED_DICE: u32 = 56;
/** `after`, `every` or `sequence` let it be. */
export const SKIPPED_TURN: u32 = 64;
export const SKIPPED_LIMIT: u32 = 72;
/** Before the rule's window, or after its end. */
export const SKIPPED_WINDOW: u32 = 80;
export const SKIPPED_SHADOW: u32 = 88;
/** Too many requests were held or worked on already. */
export const SKIPPED_OVERFLOW: u32 = 96;
export const SKIPPED_LEASE: u32 = 104;
export const SKIPPED_HALT: u32 = 112;
/** The answer has another status than the rule is about. */
export const SKIPPED_STATUS: u32 = 120;
/** The fleet's injections of this second are used up. */
export const SKIPPED_BUDGET: u32 = 128;
export const END_OF_COUNTERS: u32 = 136;

/** Key of the record that no rule has: its dice are the requests that lost before any header was read. */
export const KEY_UNASKED: u32 = 0;
/** Key of the record for what there is no room to count by rule. */
export const KEY_UNCOUNTED: u32 = 1;

/** The counters' names in a report, in their order. */
export const COUNTER_NAMES: string =
  'injected abort delay reset request response dice turn limit window shadow overflow lease halt status budget';
