import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { applyRows } from './apply.ts';
import { cliRows } from './cli.ts';
import { compileRows } from './compile.ts';
import { cpuRows } from './cpu.ts';
import { delayRows } from './delay.ts';
import { exactRows } from './exact.ts';
import { instructionRows } from './instructions.ts';
import { latencyRows } from './latency.ts';
import { type Row, table } from './rows.ts';
import type { Settings } from './settings.ts';
import { shareRows } from './share.ts';
import { writeRows } from './writes.ts';

/**
 * `npm run bench [-- --short] [-- --rows name,…] [-- --output json]`. Exit code 0 when every bar holds or is undecided, 1 when
 * one doesn't (never with `--short`, which shows and doesn't judge), 2 for wrong usage. docs/performance.md explains the rows.
 */
const GROUPS: Record<string, (settings: Settings) => Promise<Row[]>> = {
  apply: applyRows,
  compile: compileRows,
  exact: exactRows,
  cpu: cpuRows,
  latency: latencyRows,
  delay: delayRows,
  share: shareRows,
  writes: writeRows,
  cli: cliRows,
};
/** Only when asked for by name: it takes minutes, and Valgrind. */
const EXTRA: typeof GROUPS = { instructions: instructionRows };
const groups = { ...GROUPS, ...EXTRA };

async function main(): Promise<number> {
  let values: { short?: boolean; rows?: string; output?: string };
  try {
    values = parseArgs({ options: { short: { type: 'boolean' }, rows: { type: 'string' }, output: { type: 'string' } } }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
  const { short = false, output = 'table' } = values;
  const names = values.rows?.split(',') ?? Object.keys(GROUPS);
  const unknown = names.filter((name) => !Object.hasOwn(groups, name));
  if (unknown.length > 0) return usage(`no such rows: ${unknown.join(', ')}; there are ${Object.keys(groups).join(', ')}`);
  if (output !== 'table' && output !== 'json') return usage('--output is table or json');

  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`load average before: ${loadavg()[0]?.toFixed(2)}`);
  const rows: Row[] = [];
  for (const name of names) rows.push(...((await groups[name]?.({ short, say })) ?? []));
  say(`load average after: ${loadavg()[0]?.toFixed(2)}`);
  process.stdout.write(output === 'json' ? `${JSON.stringify({ rows }, null, 2)}\n` : `${table(rows)}\n`);
  return !short && rows.some((row) => row.holds === false) ? 1 : 0;
}

function usage(message: string): number {
  process.stderr.write(
    `bench: ${message}\nusage: npm run bench -- [--short] [--rows ${Object.keys(groups).join(',')}] [--output table|json]\n`,
  );
  return 2;
}

// A benchmark that was interrupted must still end its processes: their `exit` handlers do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const code = await main();
// A client of etcd that goes on looking for its server must not keep the run from ending.
process.stdout.write('', () => process.exit(code));
