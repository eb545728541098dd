import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { SandboxFailure } from './failure.ts';

/** `count` different free ports of the loopback, asked of the system. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Throws a SandboxFailure that names the port, who has it if that can be known, and the flag, when the port is taken. */
export async function requireFree(port: number, flag: string, what: string): Promise<void> {
  try {
    const server = await listen(port);
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES')
      throw new SandboxFailure(`Port ${port} for ${what} is not allowed to this user: choose one above 1023 with ${flag}.`);
    if (code !== 'EADDRINUSE') throw error;
    const owner = ownerOf(port);
    throw new SandboxFailure(
      `Port ${port} for ${what} is taken${owner === undefined ? '' : ` by ${owner}`}: end that, or choose another port with ${flag}.`,
    );
  }
}

function listen(port: number): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

/** The process that listens on a port, as `name (pid N)`; undefined where the kernel doesn't tell this user. */
function ownerOf(port: number): string | undefined {
  const inodes = listeningInodes(port);
  try {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (holdsOne(pid, inodes)) {
        // The command's own name: the kernel's word for it may be that of a thread.
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '';
        return `${command.slice(command.lastIndexOf('/') + 1)} (pid ${pid})`;
      }
    }
  } catch {
    // No /proc, or the process ended meanwhile.
  }
  return undefined;
}

function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text = '';
    try {
      text = readFileSync(table, 'utf8');
    } catch {
      continue;
    }
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      // State 0A is "listen".
      if (fields[1]?.endsWith(suffix) && fields[3] === '0A' && fields[9] !== undefined) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  return inodes;
}

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
