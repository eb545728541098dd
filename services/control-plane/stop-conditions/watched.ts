import type { End } from '../../policy/lifecycle.ts';
import type { QueryCondition } from '../../policy/stop-when.ts';
import type { Verdict } from './answer.ts';

/**
 * One condition and how it stands, as the replica knows that evaluates it.
 *
 * ```
 *                     holds, or no data that stops
 *   quiet (no since) ─────────────────────────────▶ holding since ──── so for as long as `for` ───▶ stop
 *          ▲                                             │
 *          └──────────────────── fine ───────────────────┘        no data that is ignored changes nothing
 * ```
 */
export interface Watched {
  readonly condition: QueryCondition;
  /** `elapsed` of when the first query was sent whose answer said so, without one since that said otherwise. */
  readonly since: number | undefined;
  /** What the answers since then were; of those that another replica had, nothing is known. */
  readonly held: boolean;
  readonly missed: boolean;
  readonly last: Last | undefined;
}

export interface Last {
  readonly verdict: Verdict;
  /** When it was answered, in milliseconds since the epoch. */
  readonly at: number;
}

/** A condition that nobody has evaluated yet. */
export function unwatched(condition: QueryCondition): Watched {
  return { condition, since: undefined, held: false, missed: false, last: undefined };
}

/** Whether a verdict counts towards the end. */
export function isBad({ onNoData }: Pick<QueryCondition, 'onNoData'>, { kind }: Verdict): boolean {
  return kind === 'holds' || (kind === 'no-data' && onNoData === 'stop');
}

/**
 * After an evaluation.
 *
 * @param asked `elapsed` of when its query was sent
 * @param at milliseconds since the epoch
 */
export function evaluated(watched: Watched, verdict: Verdict, asked: number, at: number): Watched {
  const last = { verdict, at };
  if (verdict.kind === 'fine') return { ...watched, since: undefined, held: false, missed: false, last };
  if (!isBad(watched.condition, verdict)) return { ...watched, last };
  const kind = verdict.kind === 'holds' ? { held: true } : { missed: true };
  return { ...watched, ...kind, since: watched.since ?? asked, last };
}

/** Takes over since when another replica saw it hold, unless an evaluation here says that it doesn't. @param since `elapsed` */
export function takenOver(watched: Watched, since: number): Watched {
  if (watched.last !== undefined && watched.since === undefined) return watched;
  return { ...watched, since: Math.min(watched.since ?? since, since) };
}

/** When it has held for long enough, by `elapsed`; undefined while it doesn't hold. */
export function dueAt({ since, condition }: Watched): number | undefined {
  return since === undefined ? undefined : since + condition.forMs;
}

/** Whether its last evaluation ends the policy. @param now `elapsed` */
export function ends(watched: Watched, now: number): boolean {
  const due = dueAt(watched);
  return due !== undefined && now >= due && watched.last !== undefined && isBad(watched.condition, watched.last.verdict);
}

/** A query can be long, and an end is shown in a line. */
const SHOWN_QUERY = 200;

/** The end that it brings about. @param at milliseconds since the epoch */
export function endBy({ condition, last, held, missed }: Watched, at: number): End {
  const { query, limit, forText } = condition;
  const shown = query.length > SHOWN_QUERY ? `${query.slice(0, SHOWN_QUERY)}…` : query;
  const verdict = last?.verdict;
  const lasting = held ? `, ${limit.side} ${limit.value}${missed ? ' or without data' : ''} for ${forText}` : ` for ${forText}`;
  const why =
    verdict?.kind !== 'no-data'
      ? `was ${verdict?.value ?? 'not known'}${lasting}`
      : held
        ? `gave no data (${verdict.why})${lasting}`
        : `gave no data${lasting}: ${verdict.why}`;
  return { at, reason: 'stopped', why: `prometheus: ${shown} ${why}` };
}
