const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** What a duration may look like, for error messages and for the JSON Schema (ECMA-262 syntax). */
export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?)(ms|s|m|h)$';

const DURATION = new RegExp(DURATION_PATTERN);

/**
 * Reads a duration as Istio and Go write it, with one unit: `350ms`, `2s`, `1.5m`, `1h`.
 *
 * @returns milliseconds, rounded to the nearest whole one, or `undefined` when the text is no duration
 */
export function parseDuration(text: string): number | undefined {
  const found = DURATION.exec(text);
  const amount = found?.[1];
  const unit = UNIT_MS[found?.[3] ?? ''];
  return amount === undefined || unit === undefined ? undefined : Math.round(Number(amount) * unit);
}
