import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Row, table } from './rows.ts';
import type { Settings } from './settings.ts';

/** Groups of rows by their names. */
export type Groups = Readonly<Record<string, (settings: Settings) => Promise<Row[]>>>;

/**
 * `npm run <name> [-- --short] [-- --rows name,…] [-- --output json]`, and then the end of the process: exit code 0 when every bar holds
 * or is undecided, 1 when one doesn't (never with `--short`, which shows and doesn't judge), 2 for wrong usage. docs/performance.md
 * explains the rows.
 *
 * @param extra groups that are measured only when they are asked for by name
 */
export async function runBench(name: string, groups: Groups, extra: Groups = {}): Promise<void> {
  // A benchmark that was interrupted must still end its processes: their `exit` handlers do.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const code = await measured(name, groups, { ...groups, ...extra });
  // A client of etcd that goes on looking for its server must not keep the run from ending.
  process.stdout.write('', () => process.exit(code));
}

async function measured(name: string, usual: Groups, groups: Groups): Promise<number> {
  const usage = (message: string): number => {
    const rows = Object.keys(groups).join(',');
    process.stderr.write(`bench: ${message}\nusage: npm run ${name} -- [--short] [--rows ${rows}] [--output table|json]\n`);
    return 2;
  };
  let values: { short?: boolean; rows?: string; output?: string };
  try {
    values = parseArgs({ options: { short: { type: 'boolean' }, rows: { type: 'string' }, output: { type: 'string' } } }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
  const { short = false, output = 'table' } = values;
  const names = values.rows?.split(',') ?? Object.keys(usual);
  const unknown = names.filter((one) => !Object.hasOwn(groups, one));
  if (unknown.length > 0) return usage(`no such rows: ${unknown.join(', ')}; there are ${Object.keys(groups).join(', ')}`);
  if (output !== 'table' && output !== 'json') return usage('--output is table or json');

  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`load average before: ${loadavg()[0]?.toFixed(2)}`);
  const rows: Row[] = [];
  for (const one of names) rows.push(...((await groups[one]?.({ short, say })) ?? []));
  say(`load average after: ${loadavg()[0]?.toFixed(2)}`);
  process.stdout.write(output === 'json' ? `${JSON.stringify({ rows }, null, 2)}\n` : `${table(rows)}\n`);
  return !short && rows.some((row) => row.holds === false) ? 1 : 0;
}
