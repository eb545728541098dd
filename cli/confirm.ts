import { createInterface } from 'node:readline/promises';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** What is asked, which flag answers it beforehand, and what is said when the answer is no. */
export interface Question {
  readonly text: string;
  readonly flag: string;
  readonly refused: string;
}

/** Asks on the terminal. @throws Failure when there is none, or the answer isn't yes */
export async function confirm({ text, flag, refused }: Question): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new Failure(`There is no terminal to ask on: add ${flag}.`, EXIT.usage);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D close it and answer nothing.
  const closed = new Promise<string>((resolve) => asking.once('close', () => resolve('')));
  const answer = await Promise.race([asking.question(`${text} [y/N] `).catch(() => ''), closed]);
  asking.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(refused, EXIT.refused);
}
