import { LIMITS } from '../limits.ts';

/**
 * How much there is to do to compile an expression: steps of its program, nodes looked at for its states, and transitions. It is counted and not
 * timed, so that a document is refused everywhere or nowhere. A million take about half a second.
 */
export interface Work {
  done: number;
}

interface Document {
  readonly expressions: Set<string>;
  work: number;
}

/** The document that is being checked, if there is one. Checking is synchronous, so there is never a second. */
let document: Document | undefined;

/** Checks one document: what its expressions cost is added up meanwhile. */
export function asOneDocument<Result>(check: () => Result): Result {
  const outer = document;
  document = { expressions: new Set(), work: 0 };
  try {
    return check();
  } finally {
    document = outer;
  }
}

/** Counts what an expression cost, once in a document: it is kept. Also when it was kept before, or a document would be refused first and then taken. */
export function addWork(expression: string, done: number): void {
  if (document === undefined || document.expressions.has(expression)) return;
  document.expressions.add(expression);
  document.work += done;
}

/** Whether the expressions of this document have cost all that they may. */
export function isOverspent(): boolean {
  return document !== undefined && document.work > LIMITS.regexWork;
}
