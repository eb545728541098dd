import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hoursInWords, openUntil } from '../../services/control-plane/guardrails/hours.ts';
import { openHours } from '../../services/policy/guardrails.ts';

const HOUR = 3_600_000;
const hours = (...all: object[]) => all.map((one) => openHours.parse(one));
const utc = (text: string): number => Date.parse(`${text}Z`);
const ALWAYS = { days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] };

describe('opening hours', () => {
  const OFFICE = hours({ from: '09:00', to: '17:00', zone: 'Europe/Berlin' });
  const rows: [string, ReturnType<typeof hours>, string, string][] = [
    ['in the middle of a day', OFFICE, '2026-07-01T10:00:00', '2026-07-01T15:00:00'],
    ['at the first moment', OFFICE, '2026-07-01T07:00:00', '2026-07-01T15:00:00'],
    ['a millisecond before', OFFICE, '2026-07-01T06:59:59.999', '2026-07-01T06:59:59.999'],
    ['in the last millisecond', OFFICE, '2026-07-01T14:59:59.999', '2026-07-01T15:00:00'],
    ['at the end', OFFICE, '2026-07-01T15:00:00', '2026-07-01T15:00:00'],
    ['on a day off', OFFICE, '2026-07-04T10:00:00', '2026-07-04T10:00:00'],
    ['in winter, an hour later by UTC', OFFICE, '2026-01-07T08:00:00', '2026-01-07T16:00:00'],
    ['over midnight, when the next day adjoins', hours({ days: ['mon', 'tue'] }), '2026-06-29T12:00:00', '2026-07-01T00:00:00'],
    [
      'over hours that adjoin',
      hours({ days: ['wed'], from: '09:00', to: '12:00' }, { days: ['wed'], from: '12:00', to: '13:30' }),
      '2026-07-01T10:00:00',
      '2026-07-01T13:30:00',
    ],
    [
      'not over a minute between',
      hours({ days: ['wed'], from: '09:00', to: '12:00' }, { days: ['wed'], from: '12:01', to: '13:30' }),
      '2026-07-01T10:00:00',
      '2026-07-01T12:00:00',
    ],
    ['on the day that is an hour shorter', hours({ days: ['sun'], zone: 'Europe/Berlin' }), '2026-03-28T23:00:00', '2026-03-29T22:00:00'],
    ['on the day that is an hour longer', hours({ days: ['sun'], zone: 'Europe/Berlin' }), '2026-10-24T22:00:00', '2026-10-25T23:00:00'],
    [
      'to an end after the hour that is left out',
      hours({ days: ['sun'], from: '01:00', to: '05:00', zone: 'Europe/Berlin' }),
      '2026-03-29T00:30:00',
      '2026-03-29T03:00:00',
    ],
    [
      'in a zone of half an hour',
      hours({ days: ['wed'], from: '09:00', to: '10:00', zone: 'Asia/Kolkata' }),
      '2026-07-01T03:30:00',
      '2026-07-01T04:30:00',
    ],
    [
      'by the clocks of each its own zone',
      hours(
        { days: ['wed'], from: '09:00', to: '10:00', zone: 'Europe/Berlin' },
        { days: ['wed'], from: '08:00', to: '09:00', zone: 'UTC' },
      ),
      '2026-07-01T07:30:00',
      '2026-07-01T09:00:00',
    ],
  ];
  for (const [when, open, at, until] of rows) {
    it(`are open ${when}`, () => assert.equal(new Date(openUntil(open, utc(at))).toISOString(), new Date(utc(until)).toISOString()));
  }

  it('that never close are open for ever', () =>
    assert.equal(openUntil(hours(ALWAYS), utc('2026-07-01T10:00:00')), Number.POSITIVE_INFINITY));

  it('are what a clock that is looked at every quarter of an hour shows', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'];
    const quarters = (count: number): string =>
      `${String(Math.floor(count / 4)).padStart(2, '0')}:${String((count % 4) * 15).padStart(2, '0')}`;
    const drawn = fc
      .tuple(
        fc.subarray(ALWAYS.days, { minLength: 1 }),
        fc.integer({ min: 0, max: 95 }),
        fc.integer({ min: 1, max: 96 }),
        fc.constantFrom(...zones),
      )
      .filter(([, from, to]) => from < to)
      .map(([days, from, to, zone]) => openHours.parse({ days, from: quarters(from), to: quarters(to), zone }));
    const begin = utc('2026-01-01T00:00:00');
    fc.assert(
      fc.property(fc.array(drawn, { minLength: 1, maxLength: 3 }), fc.integer({ min: 0, max: 365 * 96 }), (open, quarter) => {
        const at = begin + quarter * (HOUR / 4);
        let expected = at;
        while (expected - at < 31 * 24 * HOUR && open.some((one) => shows(one, expected))) expected += HOUR / 4;
        const found = openUntil(open, at);
        if (expected - at >= 31 * 24 * HOUR) assert.equal(found, Number.POSITIVE_INFINITY);
        else assert.equal(new Date(found).toISOString(), new Date(expected).toISOString());
      }),
      { numRuns: 400 },
    );
  });

  it('are written with days in a row as one', () => {
    assert.equal(
      hoursInWords(hours({}, { days: ['sat', 'sun'], from: '10:00' }, { days: ['fri', 'mon', 'wed', 'tue'] })),
      'mon-fri 00:00-24:00 UTC, sat,sun 10:00-24:00 UTC, mon-wed,fri 00:00-24:00 UTC',
    );
  });
});

/** Whether hours hold at a moment, as a clock on the wall of that zone shows it. */
function shows({ days, from, to, zone }: ReturnType<typeof openHours.parse>, at: number): boolean {
  const text = new Date(at).toLocaleString('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const [, day = '', time = ''] = /^(\w+)\D*(\d\d:\d\d)/.exec(text) ?? [];
  return days.some((one) => one === day.toLowerCase()) && from <= time && time < to;
}
