#!/usr/bin/env node
// Plain JavaScript that any Node can read: it finds a Node that is new enough and starts the built CLI with it. CommonJS (see the
// package.json beside it), because Node starts that several milliseconds faster than an ES module.
const { existsSync, realpathSync } = require('node:fs');
const { dirname, join } = require('node:path');

const root = dirname(dirname(realpathSync(__filename)));
const built = join(root, 'dist', 'cli', 'hfi.cjs');
const ownNode = join(root, 'node_modules', '.bin', 'node');
const LEAST_NODE = 22;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  if (!existsSync(ownNode) || process.env.HFI_OWN_NODE === '1') {
    process.stderr.write(
      `error: hfi needs Node.js ${LEAST_NODE} or newer and this is ${process.version}; run npm ci in the project, which brings its own.\n`,
    );
    process.exit(2);
  }
  const { spawn } = require('node:child_process');
  const env = { ...process.env, HFI_OWN_NODE: '1' };
  const child = spawn(ownNode, [__filename, ...process.argv.slice(2)], { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
} else if (!existsSync(built)) {
  process.stderr.write('error: the CLI is not built yet; run npm run build.\n');
  process.exit(2);
} else {
  // Compiled code is kept from run to run; without it the start takes half as long again.
  require('node:module').enableCompileCache?.(join(root, '.hfi', 'compile-cache'));
  require(built);
}
