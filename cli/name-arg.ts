import { Args } from '@oclif/core';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** The name of a policy. An empty one, as from a variable that isn't set, would be the list of all. */
export const nameArg = () =>
  Args.string({
    required: true,
    description: "The policy's name.",
    parse: notEmpty,
  });

/** The name of a policy, or of none for all. */
export const optionalNameArg = () => Args.string({ description: "The policy's name; all if not given.", parse: notEmpty });

async function notEmpty(text: string): Promise<string> {
  if (text.trim() === '') throw new Failure('The name is empty; write the name of a policy, as hfi policy list shows it.', EXIT.usage);
  return text;
}
