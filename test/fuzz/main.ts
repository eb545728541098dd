import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Corpus, Fuzzer } from './fuzz.ts';
import { instrumented } from './instrument.ts';
import { asPresent } from './rulesets.ts';

/**
 * `npm run fuzz [-- --runs N] [--seed N] [--corpus FOLDER]`: 20,000 runs unless asked. A run that does what must never happen leaves its last ruleset in the
 * folder, and ends the whole with exit code 1; so does one that doesn't end in 30 s.
 */
const FOLDER = join(import.meta.dirname, 'corpus');
const SILENT_MS = 30_000;

interface Asked {
  readonly runs: number;
  readonly seed: number;
  readonly corpus: string;
  /** The run that is under way, for who watches. */
  readonly at: SharedArrayBuffer;
}

if (isMainThread) await watch();
else fuzz(workerData as Asked);

async function watch(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '20000' },
      seed: { type: 'string', default: '1' },
      corpus: { type: 'string', default: FOLDER },
    },
  });
  const [runs, seed] = [Number(values.runs), Number(values.seed)];
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed) || seed < 0) {
    process.stderr.write('fuzz: --runs is a whole number from 1 on, --seed one from 0 on\n');
    process.exit(2);
  }
  const at = new SharedArrayBuffer(8);
  const progress = new BigInt64Array(at);
  const begun = Date.now();
  const worker = new Worker(new URL(import.meta.url), { workerData: { runs, seed, corpus: values.corpus, at } satisfies Asked });
  let last = -1n;
  const watchdog = setInterval(() => {
    const now = Atomics.load(progress, 0);
    if (now === last) {
      process.stdout.write(`run ${now} with seed ${seed} doesn't end\n`);
      process.exit(1);
    }
    last = now;
  }, SILENT_MS);
  worker.on('message', (line: string) => process.stdout.write(`${line}\n`));
  const code = await new Promise<number>((resolve) => worker.on('exit', resolve));
  clearInterval(watchdog);
  process.stdout.write(`${Atomics.load(progress, 0)} runs in ${((Date.now() - begun) / 60_000).toFixed(1)} minutes\n`);
  process.exit(code);
}

function fuzz({ runs, seed, corpus: folder, at }: Asked): void {
  const progress = new BigInt64Array(at);
  const { module, places } = instrumented();
  const reached = new Uint8Array(places + 1);
  let found = 0;
  let isNew = false;
  const corpus: Corpus = [];
  const fuzzer = new Fuzzer(
    corpus,
    (id) => {
      if (reached[id] === 0) {
        reached[id] = 1;
        found++;
        isNew = true;
      }
    },
    module,
  );
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.bin')))
    corpus.push(asPresent(new Uint8Array(readFileSync(join(folder, name)))));
  for (let run = 0; run < runs; run++) {
    Atomics.store(progress, 0, BigInt(run));
    isNew = false;
    try {
      const ruleset = fuzzer.run((BigInt(seed) << 32n) + BigInt(run));
      if (isNew) corpus.push(ruleset);
    } catch (error) {
      writeFileSync(join(folder, `seed-${seed}-run-${run}.bin`), fuzzer.last);
      parentPort?.postMessage(`run ${run} with seed ${seed}: ${(error as Error).stack}`);
      process.exitCode = 1;
      return;
    }
    if (run % 20_000 === 19_999)
      parentPort?.postMessage(`${run + 1} runs, ${found} of ${places} places reached, ${corpus.length} rulesets kept`);
  }
  fuzzer.renew();
  Atomics.store(progress, 0, BigInt(runs));
  parentPort?.postMessage(`no run did what must never happen; ${found} of ${places} places reached`);
}
