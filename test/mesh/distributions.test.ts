import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { send } from '../support/load.ts';
import { Mesh } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

const DRAWS = 20_000;
const CONNECTIONS = 200;
const BAR = 0.03;
const HEADER = 'x-delay-ms';
const LONGEST_MS = 360;
/** Shares, and what so many are held no longer than, in milliseconds; between two of them every length is equally likely. */
const POINTS = [
  [0, 0],
  [0.5, 120],
  [0.9, 240],
  [0.99, LONGEST_MS],
  [1, LONGEST_MS],
] as const;
/** Those that a policy names: `p100` is the last that is given. */
const NAMED = POINTS.slice(0, -1);
/** What is drawn by the filter, beside what is asked for at the same place. */
const WAYS = [
  { drawn: '/request', asked: '/asked-request' },
  { drawn: '/response', asked: '/asked-response' },
] as const;

/** Of a normal distribution 99.9 % lie within so many deviations. */
const Z = 3.29;

/** The length that this share is held no longer than. */
function lengthAt(share: number): number {
  const above = POINTS.findIndex(([point]) => point > share);
  const [[low = 0, from = 0] = [], [high = 1, to = 0] = []] = [POINTS[above - 1], POINTS[above]];
  return from + ((to - from) * (share - low)) / (high - low);
}

/**
 * What a caller sees of a distribution. In virtual time, `test/filter/distributions.test.ts` measures them all.
 *
 * A busy machine is late by more than the bar. So what the filter draws is compared with lengths that the caller asks for, drawn here from the same
 * distribution and held at the same place, at the same time, over the same connections: both are late alike, but for chance. None of those may be early.
 */
describe('mesh: percentiles of hundreds of milliseconds', function () {
  this.timeout(300_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh?.end());

  it(`are within 3 % over ${DRAWS} requests, and over as many answers, beside what Envoy and the machine add to lengths that are asked for`, async () => {
    const proxy = await mesh.sidecar('frontend');
    const percentiles = Object.fromEntries(NAMED.map(([share, ms]) => [`p${share * 100}`, `${ms}ms`]));
    const [request, response] = WAYS;
    await mesh.apply('p', {
      rules: [
        { match: { path: { exact: request.drawn } }, fault: { delay: { percentiles } } },
        { match: { path: { exact: response.drawn } }, fault: { delay: { percentiles, at: 'response' } } },
        { match: { path: { exact: request.asked } }, fault: { delay: { header: { name: HEADER, max: '1s' } } } },
        // Of an answer no header is known: a rule for each length. The length 0 has none, and passes.
        ...Array.from({ length: LONGEST_MS }, (_, i) => ({
          match: { path: { exact: response.asked }, headers: [{ name: HEADER, exact: String(i + 1) }] },
          fault: { delay: { fixed_delay_ms: i + 1, at: 'response' as const } },
        })),
      ],
    });
    const taken = await timesOf(proxy.inbound);
    const off = WAYS.flatMap((way) => {
      const [asked, lateness] = [taken.of(way.asked), taken.latenessOf(way.asked)];
      const longer = mean(taken.of(way.drawn)) - mean(asked);
      const most = BAR * (mean(asked) - mean(lateness)) + Z * deviation(lateness) * Math.sqrt(2 / DRAWS);
      const scaled =
        Math.abs(longer) <= most ? [] : [`${way.drawn}: the mean is ${longer.toFixed(1)} ms longer, more than ${most.toFixed(1)} ms`];
      const bent = NAMED.slice(1).flatMap(([share, ms]) => {
        const [measured, wanted] = [atShare(taken.of(way.drawn), share), atShare(asked, share)];
        const chance = chanceAt(wanted, lateness);
        const [least, most] = [atShare(asked, share - chance) - BAR * ms, atShare(asked, share + chance) + BAR * ms];
        const words = `${way.drawn}: p${share * 100} is ${measured.toFixed(1)} ms, not ${least.toFixed(1)} to ${most.toFixed(1)} ms`;
        return measured >= least && measured <= most ? [] : [words];
      });
      return [...scaled, ...bent];
    });
    assert.deepEqual(off, []);
  });
});

/** How long requests took, and how long beyond what was asked for, by their path; in milliseconds, rising. */
class Times {
  readonly #taken = new Map<string, { readonly ms: number; readonly late: number }[]>();

  add(path: string, ms: number, asked: number): void {
    const one = { ms, late: ms - asked };
    const known = this.#taken.get(path);
    if (known === undefined) this.#taken.set(path, [one]);
    else known.push(one);
  }

  of(path: string): number[] {
    const taken = this.#taken.get(path) ?? [];
    assert.equal(taken.length, DRAWS);
    return taken.map(({ ms }) => ms).sort((a, b) => a - b);
  }

  latenessOf(path: string): number[] {
    return (this.#taken.get(path) ?? []).map(({ late }) => late).sort((a, b) => a - b);
  }
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const deviation = (numbers: readonly number[]): number => Math.sqrt(mean(numbers.map((one) => one ** 2)) - mean(numbers) ** 2);

/** What this share took at most. */
function atShare(rising: readonly number[], share: number): number {
  return rising[Math.min(Math.max(Math.round(share * rising.length), 1), rising.length) - 1] ?? Number.NaN;
}

/**
 * By how much the shares below `ms` of two runs differ by chance. Lengths are drawn evenly on either side, so only the lateness is left to it: each
 * length is below `ms` or not by what comes on top, and these add up as independent trials do.
 */
function chanceAt(ms: number, lateness: readonly number[]): number {
  let variance = 0;
  for (let i = 0; i < DRAWS; i++) {
    const room = ms - lengthAt((i + 0.5) / DRAWS);
    const within = countBelow(lateness, room) / lateness.length;
    variance += within * (1 - within);
  }
  return (Z * Math.sqrt(2 * variance)) / DRAWS;
}

/** How many of rising numbers are below `value`. */
function countBelow(rising: readonly number[], value: number): number {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Sends what is drawn and what is asked for, in turns. */
async function timesOf(url: string): Promise<Times> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const paths = WAYS.flatMap(({ drawn, asked }) => [drawn, asked]);
  const times = new Times();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < DRAWS * paths.length) {
      const turn = next++;
      const path = paths[turn % paths.length] ?? '/';
      const least = path.startsWith('/asked') ? askedMs(Math.floor(turn / paths.length)) : 0;
      const { status, ms } = await send(`${url}${path}`, { agent, headers: { [HEADER]: String(least) } });
      assert.equal(status, 200);
      assert.ok(ms >= least, `${path}: asked for ${least} ms, took ${ms} ms`);
      times.add(path, ms, least);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  agent.destroy();
  return times;
}

/**
 * The length that the nth asks for: all shares of the distribution once, in an order without a pattern. Whole milliseconds are what a header
 * and a timer take; rounded down, for the timer is half of one late on average, for which the drawn ones are made shorter.
 */
const askedMs = (nth: number): number => Math.floor(lengthAt((((nth * 7919) % DRAWS) + 0.5) / DRAWS));
