import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { buildControlPlane, bundleProgram } from './control-plane.ts';
import { buildFilter } from './filter.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The programs that run in a cluster on the stock Node image. */
export const BUNDLE = join(ROOT, 'dist', 'bundle.tgz');

/** What a ConfigMap takes, less what its other fields and base64 need. */
const MOST_BYTES = 700 * 1024;

/**
 * Makes the tarball: `control-plane/main.cjs` and `etcd-upkeep/main.cjs` with `proto/` beside them, the filter, which the control plane explains requests by, and `demo/`. The same sources give the
 * same bytes: files are sorted and carry no time, owner or machine.
 *
 * @returns the tarball's path
 */
export async function buildBundle(to = BUNDLE): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hfi-bundle-'));
  try {
    await buildControlPlane(join(folder, 'control-plane', 'main.cjs'));
    await mkdir(join(folder, 'filter'));
    await copyFile((await buildFilter()).path, join(folder, 'filter', 'plugin.wasm'));
    // It finds etcd3's protocol beside its folder too.
    await bundleProgram(join(ROOT, 'services', 'etcd-upkeep', 'main.ts'), join(folder, 'etcd-upkeep', 'main.cjs'));
    for (const part of ['frontend', 'backend']) {
      await bundleProgram(join(ROOT, 'services', 'demo', `${part}.ts`), join(folder, 'demo', `${part}.cjs`));
    }
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .sort();
    const chunks: Uint8Array[] = [];
    const archive = create({ cwd: folder, portable: true, mtime: new Date(0), noMtime: false }, files);
    for await (const chunk of archive) chunks.push(chunk as Uint8Array);
    const bytes = gzipSync(Buffer.concat(chunks), { level: 9 });
    if (bytes.length > MOST_BYTES) throw new Error(`the bundle has ${bytes.length} bytes, and a ConfigMap takes ${MOST_BYTES}`);
    await mkdir(dirname(to), { recursive: true });
    // In one step: others may be reading the one before.
    await writeFile(`${to}.${process.pid}`, bytes);
    await rename(`${to}.${process.pid}`, to);
    return to;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
