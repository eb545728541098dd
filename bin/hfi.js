#!/usr/bin/env node
// Plain JavaScript that any Node can read: it finds a Node that is new enough and starts the built CLI with it.
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const built = at('../dist/cli/hfi.js');
const ownNode = at('../node_modules/.bin/node');
const LEAST_NODE = 22;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  if (!existsSync(ownNode) || process.env.HFI_OWN_NODE === '1') {
    process.stderr.write(
      `error: hfi needs Node.js ${LEAST_NODE} or newer and this is ${process.version}; run npm ci in the project, which brings its own.\n`,
    );
    process.exit(2);
  }
  const { spawn } = await import('node:child_process');
  const child = spawn(ownNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, HFI_OWN_NODE: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
} else if (!existsSync(built)) {
  process.stderr.write('error: the CLI is not built yet; run npm run build.\n');
  process.exit(2);
} else {
  // Compiled code is kept from run to run; without it the start takes half as long again.
  const { enableCompileCache } = await import('node:module');
  enableCompileCache?.(at('../.hfi/compile-cache'));
  await import(pathToFileURL(built).href);
}
