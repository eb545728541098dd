import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that can be told from a later one with the same id. */
export interface ProcessId {
  readonly pid: number;
  /** The kernel's start time (clock ticks since boot; field 22 of /proc/PID/stat), or empty where there is no /proc. */
  readonly startTime: string;
}

/** Names a running process with its start time. */
export function processId(pid: number): ProcessId {
  return { pid, startTime: statOf(pid)?.startTime ?? '' };
}

/** Whether that very process still runs; one that ended and wasn't yet waited for doesn't. */
export function isRunning({ pid, startTime }: ProcessId): boolean {
  const stat = statOf(pid);
  if (stat !== undefined) return stat.state !== 'Z' && stat.startTime === startTime;
  if (startTime !== '') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function statOf(pid: number): { state: string; startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in brackets, may hold spaces and brackets itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Ends a process and its group: SIGTERM, then SIGKILL after `graceMs`, which ends a stopped one too. Resolves when it is gone. */
export async function endProcess(id: ProcessId, graceMs: number): Promise<void> {
  if (!isRunning(id)) return;
  signal(id, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  while (isRunning(id) && Date.now() < deadline) await sleep(20);
  if (!isRunning(id)) return;
  signal(id, 'SIGKILL');
  while (isRunning(id)) await sleep(20);
}

function signal(id: ProcessId, name: 'SIGTERM' | 'SIGKILL'): void {
  for (const target of [-id.pid, id.pid]) {
    try {
      process.kill(target, name);
      return;
    } catch {
      // No such group (it isn't a group's leader): the process alone. No such process: done.
    }
  }
}
