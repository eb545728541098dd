import { durationMs, HfiCommand } from '../base.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
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

/** The bounds of the filter's `leaseMs`. */
const LEASE_MS = { least: 1000, most: 3_600_000 };

/** What `--lease` says, in milliseconds. Throws Failure. */
export function leaseFlag(text: string): number {
  const ms = Math.round(durationMs('lease', text));
  if (ms < LEASE_MS.least || ms > LEASE_MS.most) throw new Failure(`--lease is "${text}"; it must be from 1s to 60m.`, EXIT.usage);
  return ms;
}
