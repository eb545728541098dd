import { existsSync, globSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import Mocha from 'mocha';
import { findPrometheus } from './support/prometheus-binary.ts';

/**
 * `npm test [-- FOLDER…]`: the test folders, one after the other, for the real-time ones don't bear company. The last line is
 * `N passed, N failed`; a file that can't be loaded counts as failed.
 */
const FOLDERS = ['unit', 'conformance', 'filter', 'simulation', 'api', 'cli', 'stack', 'sandbox', 'mesh', 'prometheus', 'chaos'];

/** Folders that need what not every machine has: why they can't run here, undefined when they can. They are left out then, and not counted. */
const NEEDS: Readonly<Record<string, () => string | undefined>> = {
  prometheus() {
    const found = findPrometheus();
    return 'missing' in found ? found.missing : undefined;
  },
};

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

async function runFolder(folder: string, counts: Counts): Promise<void> {
  const files = globSync(path.join(import.meta.dirname, folder, '**/*.test.ts')).sort();
  if (files.length === 0) return;
  process.stdout.write(`\n── ${folder} ──\n`);
  const mocha = new Mocha({ reporter: 'spec', timeout: 20_000, forbidOnly: process.env.CI !== undefined });
  for (const file of files) {
    try {
      mocha.suite.emit('pre-require', globalThis, file, mocha);
      await import(pathToFileURL(file).href);
    } catch (error) {
      counts.failed++;
      process.stdout.write(`  cannot be loaded: ${path.relative(process.cwd(), file)}\n`);
      console.log(error);
    }
  }
  await new Promise<void>((resolve) => {
    const runner = mocha.run(() => resolve());
    runner.on('pass', () => counts.passed++);
    // Hooks that fail count too.
    runner.on('fail', () => counts.failed++);
    runner.on('pending', () => counts.skipped++);
  });
}

const asked = process.argv.slice(2);
const unknown = asked.filter((folder) => !existsSync(path.join(import.meta.dirname, folder)));
const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const folder of unknown) {
  counts.failed++;
  process.stdout.write(`There is no folder test/${folder}; there are: ${FOLDERS.join(', ')}\n`);
}
const notRun: string[] = [];
for (const folder of asked.length === 0 ? FOLDERS : asked) {
  const missing = unknown.includes(folder) ? undefined : NEEDS[folder]?.();
  if (missing !== undefined) notRun.push(`Not run: test/${folder} (${missing})\n`);
  else if (!unknown.includes(folder)) await runFolder(folder, counts);
}
process.stdout.write(notRun.join(''));
// A run that ran nothing proves nothing.
if (counts.passed + counts.failed === 0) counts.failed = 1;
const line = `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}\n`;
// Left-over handles of a test must not keep the run from ending.
process.stdout.write(line, () => process.exit(counts.failed === 0 ? 0 : 1));
