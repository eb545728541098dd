import { chmod, mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCli } from './cli.ts';
import { buildControlPlane } from './control-plane.ts';
import { buildFilter } from './filter.ts';

/** Builds all there is to build: the filter, the control plane's bundle and the CLI, and puts `hfi` where npx finds it. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

async function linkCli(): Promise<void> {
  const link = join(ROOT, 'node_modules', '.bin', 'hfi');
  const target = join('..', '..', 'bin', 'hfi.js');
  await chmod(join(ROOT, 'bin', 'hfi.js'), 0o755);
  if ((await readlink(link).catch(() => '')) === target) return;
  await mkdir(dirname(link), { recursive: true });
  await rm(link, { force: true });
  await symlink(target, link);
}

await Promise.all([buildFilter(), buildControlPlane(), buildCli()]);
await linkCli();
