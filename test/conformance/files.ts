import { readFileSync } from 'node:fs';

/** A line of a file of cases, parsed but not yet looked at. */
export interface Line {
  /** `FILE:NUMBER`. */
  readonly place: string;
  readonly value: unknown;
}

/** A file of cases that can't be read; the message says which, and which line. */
export class UnreadableCases extends Error {}

/**
 * Reads files of one JSON value a line. Empty lines are passed over.
 *
 * @throws UnreadableCases when one is not there, has no case or a line that is no JSON
 */
export function readLines(files: readonly string[]): Line[] {
  return files.flatMap((file) => {
    const lines = textOf(file)
      .split('\n')
      .map((text, i) => ({ text: text.trim(), place: `${file}:${i + 1}` }))
      .filter(({ text }) => text !== '')
      .map(({ text, place }) => ({ place, value: parse(text, place) }));
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

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnreadableCases(`${place} is no JSON: ${(error as Error).message}`);
  }
}
