import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { send } from '../support/load.ts';
import { Mesh } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

const DRAWS = 20_000;
const CONNECTIONS = 100;
const FIXED_MS = 40;
const ATTEMPTS = 3;
/** Shares, and what so many are held no longer than, in milliseconds; between two of them every length is equally likely. */
const POINTS = [
  [0, 0],
  [0.5, 30],
  [0.9, 60],
  [0.99, 90],
] as const;
const [, , , [, LONGEST_MS]] = POINTS;

/** The share of delays that are no longer, as the reference has it. */
function shareWithin(ms: number): number {
  if (ms >= LONGEST_MS) return 1;
  const above = POINTS.findIndex(([, point]) => point > ms);
  const [[low = 0, from = 0] = [], [high = 0, to = 0] = []] = [POINTS[above - 1], POINTS[above]];
  return above < 1 ? 0 : low + ((high - low) * (ms - from)) / (to - from);
}

/** The time that a share of the requests takes at most, if each is held as asked and is late besides as others were at the same time. */
function expected(share: number, lateness: readonly number[]): number {
  let [low, high] = [0, 10_000];
  while (high - low > 0.01) {
    const middle = (low + high) / 2;
    const within = lateness.reduce((sum, late) => sum + shareWithin(middle - late), 0) / lateness.length;
    if (within < share) low = middle;
    else high = middle;
  }
  return high;
}

/** What a caller sees of a distribution. In virtual time, `test/filter/distributions.test.ts` measures them all. */
describe('mesh: percentiles of tens of milliseconds', function () {
  this.timeout(300_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh?.end());

  it(`are within 3 % over ${DRAWS} requests, and over as many answers, beside what Envoy and the machine add to a fixed delay`, async () => {
    const proxy = await mesh.sidecar('frontend');
    const percentiles = Object.fromEntries(POINTS.map(([share, ms]) => [`p${share * 100}`, `${ms}ms`]));
    await mesh.apply('p', {
      rules: [
        { match: { path: { exact: '/request' } }, fault: { delay: { percentiles } } },
        { match: { path: { exact: '/response' } }, fault: { delay: { percentiles, at: 'response' } } },
        { match: { path: { exact: '/fixed' } }, fault: { delay: { fixed_delay_ms: FIXED_MS } } },
      ],
    });
    // A busy machine may be late with some and not with others; a filter that draws wrongly always does.
    for (let attempt = 1; ; attempt++) {
      const off = await deviations(proxy.inbound);
      if (off.length === 0) return;
      assert.ok(attempt < ATTEMPTS, off.join('; '));
    }
  });
});

/** What of the percentiles is off by more than 3 %, in words. */
async function deviations(url: string): Promise<string[]> {
  const taken = await timesOf(url, ['/request', '/response', '/request', '/response', '/fixed'], DRAWS * 2.5);
  const lateness = (taken.get('/fixed') ?? []).map((ms) => ms - FIXED_MS);
  assert.ok(
    lateness.every((ms) => ms >= 0),
    'one went on too early',
  );
  return ['/request', '/response'].flatMap((way) => {
    const times = (taken.get(way) ?? []).sort((a, b) => a - b);
    assert.equal(times.length, DRAWS);
    return POINTS.slice(1).flatMap(([share]) => {
      const [measured = 0, wanted] = [times[Math.round(share * DRAWS) - 1], expected(share, lateness)];
      if (Math.abs(measured / wanted - 1) <= 0.03) return [];
      return `${way}: p${share * 100} is ${measured.toFixed(1)} ms, not ${wanted.toFixed(1)} ms`;
    });
  });
}

/** How long requests took, in milliseconds, by their path; the paths take turns. */
async function timesOf(url: string, paths: readonly string[], requests: number): Promise<Map<string, number[]>> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const times = new Map(paths.map((path) => [path, [] as number[]]));
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < requests) {
      const path = paths[next++ % paths.length] ?? '/';
      const { status, ms } = await send(`${url}${path}`, { agent });
      assert.equal(status, 200);
      times.get(path)?.push(ms);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  agent.destroy();
  return times;
}
