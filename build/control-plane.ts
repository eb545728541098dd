import { copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The built control plane: one file, beside the folder in which etcd3 looks for its protocol. */
export const CONTROL_PLANE_BUNDLE = join(ROOT, 'dist', 'control-plane', 'main.cjs');

/**
 * Bundles the control plane. As CommonJS, because etcd3 reads `../proto/rpc.proto` from `__dirname` when it starts.
 *
 * @param bundle the file to write; its folder is emptied before, and the protocol goes into `proto` beside that folder
 */
export async function buildControlPlane(bundle = CONTROL_PLANE_BUNDLE): Promise<void> {
  const folder = dirname(bundle);
  const protocol = join(folder, '..', 'proto');
  await rm(folder, { recursive: true, force: true });
  await mkdir(protocol, { recursive: true });
  await bundleProgram(join(ROOT, 'services', 'control-plane', 'main.ts'), bundle);
  for (const name of ['rpc.proto', 'kv.proto', 'auth.proto']) {
    await copyFile(join(ROOT, 'node_modules', 'etcd3', 'proto', name), join(protocol, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/** Bundles a program for Node 24 into one CommonJS file. */
export async function bundleProgram(entry: string, outfile: string): Promise<void> {
  // Modules are taken where a package has both: what isn't used of them is left out, which a tarball in a ConfigMap needs.
  const mainFields = ['module', 'main'];
  const target = { format: 'cjs', platform: 'node', target: 'node24', mainFields } as const;
  await build({ entryPoints: [entry], outfile, bundle: true, minify: true, ...target, plugins: [english], logLevel: 'warning' });
}

/** Zod's messages in fifty languages, of which one is used: a sixth of the tarball. */
const english: Plugin = {
  name: 'english',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
      loader: 'js',
    }));
  },
};
