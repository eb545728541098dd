import { existsSync, globSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SandboxFailure } from '../../cli/sandbox/failure.ts';
import { readLines, UnreadableCases } from './files.ts';
import type { Host } from './host.ts';
import { inEnvoy } from './in-envoy.ts';
import { inNode } from './in-node.ts';
import { type Failure, runCases } from './runner.ts';

/**
 * `npm run conformance -- [--cases FILE]… [--in node|envoy] [--output text|json]`. Exit code 0 when every case passes, 1 when one
 * fails, 2 for wrong usage. docs/conformance.md describes the cases.
 */
const HOSTS: Readonly<Record<string, () => Promise<Host>>> = { node: async () => inNode(), envoy: inEnvoy };

async function main(): Promise<number> {
  let values: { cases?: string[]; in?: string; output?: string };
  try {
    const options = { cases: { type: 'string', multiple: true }, in: { type: 'string' }, output: { type: 'string' } } as const;
    values = parseArgs({ options }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
  const { output = 'text' } = values;
  const host = Object.hasOwn(HOSTS, values.in ?? 'node') ? HOSTS[values.in ?? 'node'] : undefined;
  if (host === undefined) return usage(`--in is node or envoy, not ${values.in}`);
  if (output !== 'text' && output !== 'json') return usage('--output is text or json');
  try {
    const lines = readLines(values.cases?.map(located) ?? globSync(path.join(import.meta.dirname, '*.jsonl')).sort());
    const started = await host();
    const { passed, failures } = await runCases(lines, started, output === 'text' ? show : undefined).finally(() => started.end());
    const counts = `${passed} passed, ${failures.length} failed`;
    process.stdout.write(output === 'json' ? `${JSON.stringify({ passed, failed: failures.length, failures })}\n` : `${counts}\n`);
    return failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof UnreadableCases || error instanceof SandboxFailure) return usage(error.message);
    throw error;
  }
}

/** npm runs this in the project's folder; a file is named from where the user is. */
function located(file: string): string {
  const fromUser = path.resolve(process.env.INIT_CWD ?? '.', file);
  return existsSync(fromUser) ? fromUser : path.resolve(file);
}

function show({ name, expected, got }: Failure): void {
  process.stdout.write(`failed: ${name}\n  expected ${JSON.stringify(expected)}\n  got      ${JSON.stringify(got)}\n`);
}

function usage(message: string): number {
  process.stderr.write(
    `conformance: ${message}\nusage: npm run conformance -- [--cases FILE]… [--in ${Object.keys(HOSTS).join('|')}] [--output text|json]\n`,
  );
  return 2;
}

// An interrupted run must still end its processes: their `exit` handlers do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

process.exitCode = await main();
