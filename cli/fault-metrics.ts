/** What one proxy did, from its Prometheus page (docs/metrics.md). */
export interface FaultMetrics {
  readonly aborts: number;
  readonly delays: number;
  /** Of all delays together, in milliseconds. */
  readonly delayMs: number;
}

const PREFIX = 'wasmcustom_hfi_faults_';

/** Reads the three fault metrics; undefined when the page has none of the filter's, which then isn't there or isn't shown. */
export function faultMetrics(page: string): FaultMetrics | undefined {
  const aborts = sum(page, `${PREFIX}aborts_total`);
  const delays = sum(page, `${PREFIX}delays_total`);
  if (aborts === undefined && delays === undefined) return undefined;
  return { aborts: aborts ?? 0, delays: delays ?? 0, delayMs: sum(page, `${PREFIX}delay_duration_milliseconds_sum`) ?? 0 };
}

/** A series' values over all its labels; undefined when there is none. */
function sum(page: string, name: string): number | undefined {
  const values = [...page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)`, 'gm'))].map((match) => Number(match[1]));
  return values.length === 0 ? undefined : values.reduce((total, value) => total + value, 0);
}
