import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Where the built CLI lies. */
export const CLI_FOLDER = join(ROOT, 'dist', 'cli');

/** Bundles the CLI: one entry and a chunk a command, so that a start loads what it runs and nothing else. */
export async function buildCli(): Promise<void> {
  await rm(CLI_FOLDER, { recursive: true, force: true });
  await build({
    entryPoints: { hfi: join(ROOT, 'cli', 'entry.ts') },
    outdir: CLI_FOLDER,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    chunkNames: 'chunks/[name]-[hash]',
    // CommonJS inside an ESM bundle looks for these three.
    banner: {
      js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fu}from'node:url';import{dirname as __dn}from'node:path';const require=__cr(import.meta.url),__filename=__fu(import.meta.url),__dirname=__dn(__filename);",
    },
    logLevel: 'warning',
  });
}
