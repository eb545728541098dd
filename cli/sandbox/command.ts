import { HfiCommand } from '../base.ts';
import { SandboxFailure } from './failure.ts';
import { sandboxFolder } from './project.ts';
import { readState, type SandboxState } from './state.ts';

/** What the sandbox commands share: a failure is one sentence on stderr and exit code 1; no sandbox at all is exit code 3. */
export abstract class SandboxCommand extends HfiCommand {
  protected override async catch(error: Error & { exitCode?: number }): Promise<unknown> {
    if (error instanceof SandboxFailure) this.error(error.message, { exit: 1 });
    return super.catch(error);
  }

  /** The state of the sandbox, running or died; without one it ends the command with exit code 3. */
  protected requireState(): SandboxState {
    const state = readState(sandboxFolder());
    if (state === undefined) this.error('No sandbox runs here: start one with npm start.', { exit: 3 });
    return state;
  }
}

/** A flag's duration, such as `60s`, `1500ms` or `2m`, in milliseconds. Throws SandboxFailure. */
export function durationFlag(flag: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const milliseconds = { ms: 1, s: 1000, m: 60_000 }[unit ?? ''];
  if (number === undefined || milliseconds === undefined)
    throw new SandboxFailure(`${flag} ${text} is no duration: give one such as 60s, 1500ms or 2m.`);
  return Math.round(Number(number) * milliseconds);
}
