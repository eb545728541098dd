import { parseArgs } from 'node:util';
import { readPlanted, SEEDS_TO_FIND, search } from './planted.ts';
import { simulate } from './world.ts';

/**
 * `npm run simulate [-- --seed N] [--seeds M] [--stop]`: the control plane, the fleet, leases and counts under a seeded scheduler. `--seed` is
 * the first seed, 1 unless asked, and `--seeds` how many there are; `--stop` ends with the first that violates something. `--planted` plants
 * bugs, one after the other or `--only` one, and says which are found. Exit code 0 when all is as it should be, 1 when not, 2 for wrong usage.
 */
const SHOWN_LINES = 60;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      stop: { type: 'boolean', default: false },
      planted: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  });
  const [seed, seeds] = [Number(values.seed), Number(values.seeds)];
  if (!Number.isSafeInteger(seed) || seed < 0 || !Number.isSafeInteger(seeds) || seeds < 1) {
    process.stderr.write('simulate: --seed must be a whole number from 0, --seeds one from 1\n');
    return 2;
  }
  return values.planted ? findPlanted(values.only) : runSeeds(seed, seeds, values.stop);
}

async function runSeeds(first: number, count: number, stop: boolean): Promise<number> {
  const began = performance.now();
  let [ran, simulatedMs, injections, acknowledged, violated] = [0, 0, 0, 0, 0];
  for (let seed = first; seed < first + count && !(stop && violated > 0); seed++) {
    const result = await simulate(seed);
    ran++;
    simulatedMs += result.simulatedMs;
    injections += result.injections;
    acknowledged += result.acknowledged;
    if (count === 1) say(`seed ${seed} went by ${result.events} events, trace ${result.trace}`);
    if (result.violation === undefined) continue;
    violated++;
    for (const line of result.lines.slice(-SHOWN_LINES)) say(`  ${line}`);
    say(`seed ${seed}: ${result.violation}`);
    say(`  faults: ${result.faults.join(' ') || 'none'}; again with: npm run simulate -- --seed ${seed}`);
  }
  const factor = Math.round(simulatedMs / (performance.now() - began));
  say(`${ran} seeds, ${injections} injections, ${acknowledged} acknowledged writes: ${violated} violated; ${factor} times real time`);
  return violated === 0 ? 0 : 1;
}

async function findPlanted(only: string | undefined): Promise<number> {
  let missed = 0;
  for (const planted of readPlanted()) {
    if (only !== undefined && planted.name !== only) continue;
    const { seed, said } = await search(planted, SEEDS_TO_FIND);
    if (seed === undefined) missed++;
    say(
      seed === undefined
        ? `${planted.name}: NOT FOUND in ${SEEDS_TO_FIND} seeds. ${planted.wrong}`
        : `${planted.name}: found by seed ${seed}: ${said}`,
    );
  }
  return missed === 0 ? 0 : 1;
}

process.exit(await main());
