/** A sandbox problem that the user can act on: the message is one clear sentence and what to do, and is shown without a stack. */
export class SandboxFailure extends Error {
  override name = 'SandboxFailure';
}
