/** A failure that the user can act on: shown as it is, without a stack, and ends the command with `exit`. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exit: number;

  /** @param exit one of `EXIT` */
  constructor(message: string, exit: number) {
    super(message);
    this.exit = exit;
  }
}
