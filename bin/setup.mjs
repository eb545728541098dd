// `npm start`, `npm test`, `npm run bench` and their like begin here: a fresh clone has no packages yet and perhaps an older Node, so this file
// is plain JavaScript that needs neither. It installs and builds what is missing or has changed, then goes on with the project's own Node.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_NODE = 20;
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const binaries = path.join(root, 'node_modules', '.bin');
const node = path.join(binaries, 'node');

/** What each word runs after the set-up; `setup` runs nothing. */
const programs = {
  start: ['bin/hfi.js', 'sandbox', 'up'],
  test: ['test/run.ts'],
  bench: ['test/bench/main.ts'],
  'bench:fleet': ['test/bench/fleet/main.ts'],
  conformance: ['test/conformance/main.ts'],
  fuzz: ['test/fuzz/main.ts'],
  soak: ['test/soak/main.ts'],
  simulate: ['test/simulation/main.ts'],
  chaos: ['test/chaos/main.ts'],
  setup: undefined,
};
const SOURCES = ['build', 'cli', 'components', 'filter', 'services', 'package-lock.json', 'package.json', 'tsconfig.json'];
const OUTPUTS = ['dist/filter/plugin.wasm', 'dist/cli', 'dist/control-plane'];

/** The process that runs now; signals to this one are passed on to it. */
let running;

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

/** Runs a command to its end; its exit code, as a shell counts it. `quiet` collects what it prints instead of showing it. */
function run(command, args, quiet) {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${binaries}${path.delimiter}${process.env.PATH ?? ''}` };
    let output = '';
    running = spawn(command, args, { cwd: root, env, stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit' });
    for (const stream of [running.stdout, running.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    }
    running.on('error', (error) => resolve({ code: 127, output: error.message }));
    running.on('close', (code, signal) => resolve({ code: signal === null ? code : 130, signal, output }));
  });
}

/** A step of the set-up: shown once it takes longer than a second, and with all that it printed when it fails. */
async function step(what, command, args, otherwise) {
  const start = Date.now();
  const timer = setTimeout(() => process.stderr.write(`${what} …\n`), 1000);
  const { code, signal, output } = await run(command, args, true);
  clearTimeout(timer);
  if (code !== 0 && otherwise?.when.test(output)) {
    process.stderr.write(`${otherwise.note}\n`);
    return step(what, command, otherwise.args);
  }
  if (code !== 0) {
    if (!signal) process.stderr.write(`${output.trim()}\n${what} failed: ${reason(command, code, output)}\n`);
    process.exit(code || 1);
  }
  const seconds = (Date.now() - start) / 1000;
  if (seconds > 1) process.stderr.write(`${what}: done in ${seconds.toFixed(1)} s\n`);
}

function reason(command, code, output) {
  if (code === 127) return `${command} isn't on the PATH; install it (npm comes with Node) and try again.`;
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(output)) {
    return "the package registry can't be reached; connect to the network once (or set npm's registry or proxy) and try again.";
  }
  if (/ENOSPC/.test(output)) return 'the disk is full.';
  return `what it said is above (exit code ${code}).`;
}

function contentHash(names) {
  const hash = createHash('sha256');
  const visit = (name) => {
    const file = path.join(root, name);
    if (!existsSync(file)) return;
    if (statSync(file).isDirectory()) for (const entry of readdirSync(file).sort()) visit(path.join(name, entry));
    else hash.update(name).update('\0').update(readFileSync(file)).update('\0');
  };
  names.forEach(visit);
  return hash.digest('hex');
}

/** Whether the mark left by the last success of a step is about the same content. */
function isCurrent(mark, hash) {
  return existsSync(mark) && readFileSync(mark, 'utf8') === hash;
}

function leave(mark, hash) {
  mkdirSync(path.dirname(mark), { recursive: true });
  writeFileSync(mark, hash);
}

async function install() {
  const lock = contentHash(['package-lock.json']);
  const mark = path.join(root, 'node_modules', '.hfi-installed');
  const npmsOwn = path.join(root, 'node_modules', '.package-lock.json');
  if (existsSync(node)) {
    if (isCurrent(mark, lock)) return;
    // Someone ran npm ci themselves.
    if (existsSync(npmsOwn) && statSync(npmsOwn).mtimeMs >= statSync(path.join(root, 'package-lock.json')).mtimeMs)
      return leave(mark, lock);
  }
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error'];
  // npm ci refuses a lockfile made where the registry lacks other platforms' optional packages; npm install then takes the locked
  // versions, checked by the same hashes, and --no-save leaves the lockfile alone.
  await step('Installing packages', 'npm', ['ci', ...quietly], {
    when: /can only install packages when your package.json and package-lock.json/,
    args: ['install', '--no-save', ...quietly],
    note: 'npm ci finds package-lock.json incomplete; installing its locked versions with npm install instead.',
  });
  if (!existsSync(node))
    fail(
      "npm installed the packages but not the project's Node (its install script was not allowed): run npm ci with scripts, without --ignore-scripts.",
    );
  leave(mark, lock);
  // npm ci has built, by the package's prepare script.
  if (outputsThere()) leave(builtMark, contentHash(SOURCES));
}

const builtMark = path.join(root, '.hfi', 'built');
const outputsThere = () => OUTPUTS.every((name) => existsSync(path.join(root, name)));

async function build() {
  const hash = contentHash(SOURCES);
  if (isCurrent(builtMark, hash) && outputsThere()) return;
  await step('Building', node, ['build/main.ts']);
  leave(builtMark, hash);
}

const [word = '', ...flags] = process.argv.slice(2);
if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  fail(`HFI needs Node ${LEAST_NODE} or newer to begin with; this is ${process.version}. Install a newer one (nodejs.org) and try again.`);
}
if (!Object.hasOwn(programs, word)) fail(`usage: node bin/setup.mjs ${Object.keys(programs).join('|')} [flags]`);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => running?.kill(signal));
await install();
await build();
const program = programs[word];
if (program !== undefined) process.exitCode = (await run(node, [...program, ...flags], false)).code;
