import { applyRows } from './apply.ts';
import { cliRows } from './cli.ts';
import { runBench } from './command.ts';
import { compileRows } from './compile.ts';
import { cpuRows } from './cpu.ts';
import { delayRows } from './delay.ts';
import { exactRows } from './exact.ts';
import { shareRows } from './share.ts';
import { writeRows } from './writes.ts';

/** `npm run bench`. */
await runBench('bench', {
  apply: applyRows,
  compile: compileRows,
  exact: exactRows,
  cpu: cpuRows,
  delay: delayRows,
  share: shareRows,
  writes: writeRows,
  cli: cliRows,
});
