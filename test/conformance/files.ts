import { readFileSync } from 'node:fs';

/** A line of a file of cases, parsed but not yet looked at. */
export interface Line {
  /** `FILE:NUMBER`. */
  readonly place: string;
  readonly value: unknown;
  /** Why it is no JSON. */
  readonly unreadable?: string;
}

/** A file of cases that can't be read; the message says which. */
export class UnreadableCases extends Error {}

/**
 * Reads files of one JSON value a line. Empty lines are passed over.
 *
 * @throws UnreadableCases when one is not there or has no case
 */
export function readLines(files: readonly string[]): Line[] {
  return files.flatMap((file) => {
    const lines = textOf(file)
      .split('\n')
      .map((text, i) => ({ text: text.trim(), place: `${file}:${i + 1}` }))
      .filter(({ text }) => text !== '')
      .map(({ text, place }) => ({ place, ...parsed(text) }));
    if (lines.length === 0) throw new UnreadableCases(`${file} has no cases`);
    return lines;
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UnreadableCases(code === 'ENOENT' ? `there is no file ${file}` : `${file} can't be read: ${message}`);
  }
}

function parsed(text: string): Pick<Line, 'value' | 'unreadable'> {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { value: undefined, unreadable: (error as Error).message };
  }
}
