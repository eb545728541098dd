import { execFileSync, spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Processes } from '../support/processes.ts';
import { hfiFilter, luaAbort, nativeAbort, startProxy, wasmFilter } from './envoy.ts';
import { buildModules, type Modules } from './filters.ts';
import { drive, openMany } from './load.ts';
import { type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { inSomeRequests, regexesThatMiss, rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';

/**
 * The instructions that Envoy takes for a request outside of the kernel, counted by Valgrind's Callgrind: slow, and free of the noise that
 * processor time has. An instruction took about 0.2 ns where both were measured.
 */

const WARM_UP = 4000;
const COUNTED = 1000;
const LONG_MS = 300_000;

const RULESETS = {
  'no rule': () => rulesetOf([]),
  'dice lost': () => rulesetOf(inSomeRequests(rulesThatMiss(10), 1)),
  '10 rules': () => rulesetOf(rulesThatMiss(10)),
  '10,000 rules': () => rulesetOf(rulesThatMiss(10_000)),
  '100 regexes': () => rulesetOf(regexesThatMiss(100)),
};

const hfi = ({ hfi }: Modules): object[] => [hfiFilter(hfi, 'bench')];

/** The filters of each variant, and the one that it is compared with. */
const VARIANTS: readonly { readonly name: string; readonly filters: (modules: Modules) => object[]; readonly base?: string }[] = [
  { name: 'no filter', filters: () => [] },
  { name: 'native', filters: () => [nativeAbort('nobody')], base: 'no filter' },
  { name: 'lua', filters: () => [luaAbort('nobody')], base: 'no filter' },
  { name: 'empty', filters: ({ empty }) => [wasmFilter(empty)], base: 'no filter' },
  { name: 'every callback', filters: ({ everyCallback }) => [wasmFilter(everyCallback)], base: 'empty' },
  { name: 'headers read', filters: ({ everyCallbackReading }) => [wasmFilter(everyCallbackReading)], base: 'every callback' },
  { name: 'no rule', filters: hfi, base: 'every callback' },
  { name: 'dice lost', filters: hfi, base: 'every callback' },
  { name: '10 rules', filters: hfi, base: 'headers read' },
  { name: '10,000 rules', filters: hfi, base: 'headers read' },
  { name: '100 regexes', filters: hfi, base: 'headers read' },
];

export async function instructionRows({ say }: Settings): Promise<Row[]> {
  if (spawnSync('valgrind', ['--version']).status !== 0) {
    say('instructions: not counted, for there is no valgrind on the PATH');
    return [];
  }
  const processes = await Processes.begin();
  const server = await RulesetServer.start(new Map(Object.entries(RULESETS).map(([name, ruleset]) => [nameOf(name), ruleset()])));
  try {
    const modules = await buildModules(processes.folder);
    const counts = new Map<string, number>();
    for (const { name, filters } of VARIANTS) {
      say(`instructions: ${name}`);
      counts.set(name, await counted(processes, server, nameOf(name), filters(modules), Object.hasOwn(RULESETS, name)));
    }
    return VARIANTS.map(({ name, base }) => {
      const peerValue = base === undefined ? undefined : counts.get(base);
      const value = (counts.get(name) ?? Number.NaN) - (peerValue ?? 0);
      const range = { low: value, high: value };
      if (base === undefined || peerValue === undefined) return row(`instructions: ${name}`, 'instructions/request', value, range);
      return row(`instructions: ${name}, over ${base}`, 'instructions/request', value, range, { peer: base, peerValue });
    });
  } finally {
    server.stop();
    await processes.end();
  }
}

function nameOf(variant: string): string {
  return variant.replaceAll(/[^a-z0-9]+/g, '-');
}

/** @returns instructions a request, of one Envoy that has had some thousands of them */
async function counted(processes: Processes, server: RulesetServer, name: string, filters: object[], polls: boolean): Promise<number> {
  const out = join(processes.folder, `${name}.callgrind`);
  // Code that V8 makes and changes is looked at anew.
  const under = ['valgrind', '--tool=callgrind', `--callgrind-out-file=${out}`, '--smc-check=all-non-file', '--quiet'];
  const proxy = await startProxy(processes, { name, filters, controlPlanePort: server.port, under });
  if (polls) await server.inForce(name, LONG_MS);
  const connections = await openMany(proxy.port, 4);
  await drive(connections, WARM_UP);
  const control = (option: string): void => void execFileSync('callgrind_control', [option, String(proxy.pid)]);
  control('--zero');
  await drive(connections, COUNTED);
  control('--dump');
  for (const connection of connections) connection.close();
  const [dump] = (await readdir(processes.folder)).filter((file) => file.startsWith(`${name}.callgrind.`));
  const summary = /^summary: (\d+)/m.exec(await readFile(join(processes.folder, dump ?? ''), 'utf8'));
  return Number(summary?.[1]) / COUNTED;
}
