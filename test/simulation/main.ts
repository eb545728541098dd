import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

/**
 * `npm run simulate [-- --seed N] [-- --seeds M]`: the control plane, the fleet, lease and counts under a seeded scheduler. `--seed` is the
 * first seed, 1 unless asked, and `--seeds` how many follow. Exit code 0 when nothing is violated, 1 when something is, 2 for wrong usage.
 */

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
    },
  });
  const [seed, seeds] = [Number(values.seed), Number(values.seeds)];
  if (!Number.isSafeInteger(seed) || seed < 0 || !Number.isSafeInteger(seeds) || seeds < 1) {
    process.stderr.write('simulate: --seed must be a whole number from 0, --seeds one from 1\n');
    return 2;
  }
  const began = performance.now();
  let [simulatedMs, injections, acknowledged, failed] = [0, 0, 0, 0];
  for (let i = seed; i < seed + seeds; i++) {
    const result = await simulate(i);
    simulatedMs += result.simulatedMs;
    injections += result.injections;
    acknowledged += result.acknowledged;
    if (result.violation === undefined) {
      if (seeds === 1) say(`trace ${result.trace}, ${result.events} events`);
      continue;
    }
    failed++;
    for (const line of result.lines.slice(-60)) say(`  ${line}`);
    say(`seed ${i}: ${result.violation}`);
    say(`  faults: ${result.faults.join(' ')}; again with: npm run simulate -- --seed ${i}`);
  }
  const seconds = (performance.now() - began) / 1000;
  const factor = Math.round(simulatedMs / 1000 / seconds);
  say(`${seeds} seeds, ${injections} injections, ${acknowledged} acknowledged writes: ${failed} violated, ${factor} times real time`);
  return failed === 0 ? 0 : 1;
}

process.exit(await main());
