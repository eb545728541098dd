import { applyRows } from './apply.ts';
import { cliRows } from './cli.ts';
import { runBench } from './command.ts';
import { compileRows } from './compile.ts';
import { cpuRows } from './cpu.ts';
import { delayRows } from './delay.ts';
import { exactRows } from './exact.ts';
import { instructionRows } from './instructions.ts';
import { latencyRows } from './latency.ts';
import { shareRows } from './share.ts';
import { writeRows } from './writes.ts';

/** `npm run bench`; `instructions` only when it is asked for by name: it takes minutes, and Valgrind. */
await runBench(
  'bench',
  {
    apply: applyRows,
    compile: compileRows,
    exact: exactRows,
    cpu: cpuRows,
    latency: latencyRows,
    delay: delayRows,
    share: shareRows,
    writes: writeRows,
    cli: cliRows,
  },
  { instructions: instructionRows },
);
