import { globSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The built CLI. */
export const CLI_BUNDLE = join(ROOT, 'dist', 'cli', 'hfi.cjs');

/**
 * Bundles the CLI: the entry, and a file for each command, of which a start reads one. As CommonJS: Node's loader of ES modules alone
 * takes a quarter of the time that a short command may take.
 */
export async function buildCli(): Promise<void> {
  const folder = dirname(CLI_BUNDLE);
  // Beside the old one, which others may be running meanwhile.
  const next = `${folder}-${process.pid}`;
  const apart = globSync(['commands/**/*.ts', 'help.ts'], { cwd: join(ROOT, 'cli') });
  await build({
    entryPoints: [
      { in: join(ROOT, 'cli', 'entry.ts'), out: 'hfi' },
      ...apart.map((file) => ({ in: join(ROOT, 'cli', file), out: file.slice(0, -3) })),
    ],
    outdir: next,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    // `import()` would start the loader of ES modules.
    supported: { 'dynamic-import': false },
    // A command's file is its class.
    footer: { js: 'if(module.exports.default)module.exports=module.exports.default;' },
    define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
    // Large, and of use to a few commands: loaded when one speaks to a cluster.
    // oclif asks for the compiler only to run a plugin's sources; there are no plugins here.
    external: ['typescript', '@kubernetes/client-node'],
    plugins: [commandsApart, leanOclif, leanClient],
    logLevel: 'warning',
  });
  const previous = `${next}-previous`;
  await rename(folder, previous).catch(() => {});
  await rename(next, folder);
  await rm(previous, { recursive: true, force: true });
}

/** The entry finds the commands and their help in files of their own. */
const commandsApart: Plugin = {
  name: 'commands-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(commands\/.*|help)\.ts$/ }, ({ path }) => ({ path: path.replace(/\.ts$/, '.cjs'), external: true }));
  },
};

/** A `require` at the top of a compiled CommonJS module, perhaps in one of TypeScript's wrappers. */
const TOP_REQUIRE = /^(?:const|var) (\w+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm;

const NEVER_USED =
  /@oclif[\\/]core[\\/]lib[\\/](config[\\/](config|plugin|plugin-loader|ts-path)|module-loader|performance)\.js$|node_modules[\\/](tinyglobby|minimatch|lilconfig)[\\/]/;

/**
 * oclif's index loads all of oclif, and its modules load all that they might ever need: spinners, plugin discovery, ejs. Here the
 * index is what commands use, and a module of oclif is loaded when something of it is first used.
 */
const leanOclif: Plugin = {
  name: 'lean-oclif',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^@oclif\/core$/ }, () => ({ path: 'index', namespace: 'lean-oclif' }));
    onLoad({ filter: /.*/, namespace: 'lean-oclif' }, () => ({
      contents: `export { Command } from '@oclif/core/command';
        export * as Flags from '@oclif/core/flags';
        export * as Args from '@oclif/core/args';`,
      resolveDir: ROOT,
    }));
    // Only oclif's own tracing.
    onResolve({ filter: /^debug$/ }, () => ({ path: 'debug', namespace: 'lean-oclif-debug' }));
    onLoad({ filter: /.*/, namespace: 'lean-oclif-debug' }, () => ({
      contents: 'module.exports = () => Object.assign(() => {}, { enabled: false });',
    }));
    // Plugins and their discovery: of no use here.
    onLoad({ filter: NEVER_USED }, () => ({ contents: 'module.exports = {};' }));
    onLoad({ filter: /@oclif[\\/]core[\\/]lib[\\/].*\.js$/ }, async ({ path }) => ({ contents: lazy(await readFile(path, 'utf8')) }));
  },
};

/**
 * Node loads its whole `fetch` when `Headers` is first named, which takes longer than the rest of a short command. hono's client only
 * sets entries and passes them on to `cli/ask.ts`, which reads a map as well.
 */
const leanClient: Plugin = {
  name: 'lean-client',
  setup({ onLoad }) {
    onLoad({ filter: /hono[\\/]dist[\\/]client[\\/]client\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace('new Headers()', 'new Map()'),
    }));
  },
};

/** Makes every top-level `require` wait for the first use of what it gives. */
function lazy(source: string): string {
  const names: string[] = [];
  const deferred = source.replace(TOP_REQUIRE, (_, name: string, load: string) => {
    names.push(name);
    return `var ${name}$; function ${name}() { return (${name}$ ??= ${load}); }`;
  });
  return names.reduce((text, name) => text.replace(new RegExp(`\\b${name}(?=[.)])`, 'g'), `(${name}())`), deferred);
}
