import { DAYS, type OpenHours } from '../../policy/guardrails.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** No rule lives longer: what is open for so long is open always. */
const LONGEST_MS = 31 * DAY_MS;

/**
 * Until when it stays open from a moment on.
 *
 * @param at milliseconds since the epoch
 * @returns milliseconds since the epoch: `at` itself when it is closed then; infinity when it never closes
 */
export function openUntil(hours: readonly OpenHours[], at: number): number {
  let until = at;
  while (until - at < LONGEST_MS) {
    const next = Math.max(...hours.map((one) => endOf(one, until)));
    if (next <= until) return until;
    until = next;
  }
  return Number.POSITIVE_INFINITY;
}

/** The hours in words: `mon-fri 09:00-17:00 Europe/Berlin`. */
export function hoursInWords(hours: readonly OpenHours[]): string {
  return hours.map(({ days, from, to, zone }) => `${daysInWords(days)} ${from}-${to} ${zone}`).join(', ');
}

/** A moment on the clocks of a zone: `tue 17:30 Europe/Berlin`. */
export function momentInWords(at: number, zone: string): string {
  const { day, minutes } = localTime(at, zone);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${day} ${two(Math.floor(minutes / 60))}:${two(Math.floor(minutes % 60))} ${zone}`;
}

/** When the hours that hold at a moment end; the moment itself when they don't hold. */
function endOf({ days, from, to, zone }: OpenHours, at: number): number {
  const { day, minutes, offset } = localTime(at, zone);
  if (!days.includes(day) || minutes < minutesOf(from) || minutes >= minutesOf(to)) return at;
  const end = at + (minutesOf(to) - minutes) * MINUTE_MS;
  // Where the clocks are changed in between, the day is an hour shorter or longer.
  return end - (localTime(end - 1, zone).offset - offset);
}

interface LocalTime {
  readonly day: (typeof DAYS)[number];
  /** Since midnight. */
  readonly minutes: number;
  /** How far the zone's clocks are ahead of UTC, in milliseconds. */
  readonly offset: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(at: number, zone: string): LocalTime {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      weekday: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  formats.set(zone, format);
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const number = (name: string): number => Number(parts[name]);
  const whole = Math.floor(at / 1000) * 1000;
  const local = Date.UTC(number('year'), number('month') - 1, number('day'), number('hour'), number('minute'), number('second'));
  const day = DAYS.find((one) => one === parts.weekday?.toLowerCase()) ?? 'mon';
  return {
    day,
    minutes: number('hour') * 60 + number('minute') + (number('second') * 1000 + (at - whole)) / MINUTE_MS,
    offset: local - whole,
  };
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

/** `mon-fri`, `sat,sun`: days in a row as one. */
function daysInWords(days: readonly OpenHours['days'][number][]): string {
  const runs: (typeof DAYS)[number][][] = [];
  for (const [i, day] of DAYS.entries()) {
    if (!days.includes(day)) continue;
    const last = runs.at(-1);
    if (last?.at(-1) === DAYS[i - 1] && last !== undefined) last.push(day);
    else runs.push([day]);
  }
  return runs.map((run) => (run.length > 2 ? `${run[0]}-${run.at(-1)}` : run.join(','))).join(',');
}
