import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { Bed } from './bed/bed.ts';
import { bootstrapTemplate } from './bed/istio.ts';

/** The part of `main.ts` that runs inside the bed's network namespace: the cluster, and then the tests or a wait. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = join(ROOT, '.hfi', 'cluster', 'bed');
const built = join(ROOT, '.hfi', 'cluster', 'bin');

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const bed = await Bed.up(
  folder,
  {
    built,
    envoy: (await findBinary('envoy')).path,
    node: join(ROOT, 'node_modules', 'node', 'bin', 'node'),
    bootstrapTemplate: bootstrapTemplate(join(ROOT, 'test', 'cluster', 'go')),
  },
  say,
);
const env = {
  ...process.env,
  KUBECONFIG: bed.kubernetes.kubeconfig,
  HFI_TEST_VIEWER_KUBECONFIG: bed.kubernetes.viewerKubeconfig,
  HFI_TEST_BED: folder,
  PATH: `${join(ROOT, '.hfi', 'cluster', 'bin')}:${process.env.PATH}`,
};

let code = 0;
if (process.argv.includes('--bed')) {
  say(`The cluster is up: KUBECONFIG=${env.KUBECONFIG}. Ctrl-C ends it.`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
} else {
  code = await new Promise<number>((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, 'test', 'run.ts'), 'cluster'], { env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
    child.on('exit', (exit) => resolve(exit ?? 1));
  });
}
await bed.down();
process.exit(code);
