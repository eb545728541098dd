/** The fields of a schedule and their limits, as Kubernetes reads them (`robfig/cron`, "standard" form). */
const FIELDS: readonly { readonly least: number; readonly most: number; readonly names?: readonly string[] }[] = [
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { least: 0, most: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

const WORDS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/**
 * Whether the text is a schedule that a CronJob takes: `minute hour day month weekday`, or a word such as `@daily`. What Kubernetes takes
 * besides, such as an empty part in a list or `@every`, is refused: it is more likely a mistake.
 */
export function isSchedule(text: string): boolean {
  if (WORDS.includes(text)) return true;
  const parts = text.trim().split(/\s+/);
  return parts.length === FIELDS.length && FIELDS.every((_, i) => (parts[i] ?? '').split(',').every((part) => isRange(part, i)));
}

/** `*`, `3`, `1-5`, each perhaps with a step: `0-30/10`. */
function isRange(text: string, field: number): boolean {
  const [, whole, first, last, step] = /^(?:([*?])|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(text) ?? [];
  if (step !== undefined && Number(step) === 0) return false;
  if (whole !== undefined) return true;
  if (first === undefined) return false;
  const from = numberOf(first, field);
  const to = last === undefined ? from : numberOf(last, field);
  return from !== undefined && to !== undefined && from <= to;
}

/** The number that a text stands for in a field; undefined when it may not stand there. */
function numberOf(text: string, field: number): number | undefined {
  const { least = 0, most = 0, names = [] } = FIELDS[field] ?? {};
  const named = names.indexOf(text.toLowerCase());
  const value = named >= 0 ? named + least : /^\d+$/.test(text) ? Number(text) : undefined;
  return value === undefined || value < least || value > most ? undefined : value;
}
