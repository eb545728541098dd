import { isUtf8 } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import { duplicateKeys } from '../services/policy/duplicate-keys.ts';

/** One document of a file: what it says, and where. */
export interface PolicyDocument {
  /** Where it came from: the file's name, the URL, or `stdin`. */
  readonly source: string;
  readonly value: unknown;
  readonly name: string;
  /** Line and column, from 1, of what a path such as `spec.rules[0].fault` leads to, or of the nearest thing above it. */
  position(path: string): { line: number; column: number };
}

const ENDINGS = /\.(ya?ml|json)$/i;

/** What was read, and a line on each thing that could not be. */
export interface Read {
  readonly documents: readonly PolicyDocument[];
  readonly wrong: readonly string[];
}

/** Nobody reads more of one error, or more errors. */
const MOST = { characters: 300, errors: 20 };

/** What is wrong, a line each; what is too much to read is counted. */
export function asLines(wrong: readonly string[]): string {
  const lines = wrong
    .slice(0, MOST.errors)
    .map((line) => `  ${line.length > MOST.characters ? `${line.slice(0, MOST.characters)}…` : line}`);
  return [...lines, ...(wrong.length > MOST.errors ? [`  and ${wrong.length - MOST.errors} more`] : [])].join('\n');
}

/**
 * Reads policies from files, folders, URLs and standard input (`-`).
 *
 * @param recursive whether folders in folders are read too
 * @param timeoutMs for each URL
 */
export async function readDocuments(sources: readonly string[], recursive: boolean, timeoutMs: number): Promise<Read> {
  const documents: PolicyDocument[] = [];
  const wrong: string[] = [];
  for (const source of sources.flatMap((one) => within(one, recursive, wrong))) {
    try {
      const found = parse(source === '-' ? 'stdin' : source, await textOf(source, timeoutMs), wrong);
      if (found.length === 0 && wrong.length === 0) wrong.push(`${source}: there is no policy in it`);
      documents.push(...found);
    } catch (error) {
      wrong.push(`${source}: can not be read: ${reason(error)}`);
    }
  }
  return { documents, wrong };
}

function parse(source: string, text: string, wrong: string[]): PolicyDocument[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: false });
  return ('empty' in parsed ? [] : parsed).flatMap((document) => {
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      wrong.push(`${source}:${line}:${col}: ${error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')}`);
    }
    const twice = duplicateKeys(document);
    for (const { key, offset } of twice) {
      const { line, col } = lines.linePos(offset);
      wrong.push(`${source}:${line}:${col}: the key ${JSON.stringify(key)} is there twice`);
    }
    let finite = true;
    visit(document, {
      Scalar(_key, { value, source: text, range }) {
        if (typeof value !== 'number' || Number.isFinite(value)) return;
        const { line, col } = lines.linePos(range?.[0] ?? 0);
        wrong.push(`${source}:${line}:${col}: ${text ?? value} is no number that can be sent`);
        finite = false;
      },
    });
    return finite && document.errors.length + twice.length === 0 && !isEmpty(document) ? [asPolicy(source, document, lines)] : [];
  });
}

/** Nothing between two `---`, or comments alone: templates leave such documents behind. */
function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null && contents.source === '');
}

/** The files of a folder; what is no folder is itself. */
function within(source: string, recursive: boolean, wrong: string[]): string[] {
  if (source === '-' || /^https?:\/\//.test(source)) return [source];
  try {
    if (!statSync(source).isDirectory()) return [source];
    const names = readdirSync(source, { recursive, encoding: 'utf8' }).filter((name) => ENDINGS.test(name));
    if (names.length === 0) wrong.push(`${source}: there is no .yaml, .yml or .json file in it`);
    return names.sort().map((name) => join(source, name));
  } catch (error) {
    wrong.push(`${source}: can not be read: ${reason(error)}`);
    return [];
  }
}

async function textOf(source: string, timeoutMs: number): Promise<string> {
  if (/^https?:\/\//.test(source)) return download(source, timeoutMs);
  const bytes = readFileSync(source === '-' ? 0 : source);
  if (!isUtf8(bytes)) throw new Error('it is no text in UTF-8');
  return bytes.toString('utf8');
}

async function download(url: string, timeoutMs: number): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.text();
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  if (error.name === 'TimeoutError') return 'no answer in time';
  return { ENOENT: 'it is not there', EACCES: 'you may not read it' }[String(code)] ?? (typeof code === 'string' ? code : error.message);
}

function asPolicy(source: string, document: Document, lines: LineCounter): PolicyDocument {
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const name = (value as { metadata?: { name?: unknown } } | null)?.metadata?.name;
  return {
    source,
    value,
    name: typeof name === 'string' ? name : '',
    position(path) {
      let node: unknown = document.contents;
      let offset = rangeStart(node) ?? 0;
      for (const step of path.match(/[^.[\]]+/g) ?? []) {
        const next = child(document, node, step);
        if (next === undefined) break;
        offset = next.offset ?? offset;
        node = next.node;
      }
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    },
  };
}

/** Follows one step of a path; the place of a map's entry is that of its key. */
function child(document: Document, parent: unknown, step: string): { node: unknown; offset: number | undefined } | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : undefined) === step);
    return pair === undefined ? undefined : { node: pair.value, offset: rangeStart(pair.key) };
  }
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return item === undefined ? undefined : { node: item, offset: rangeStart(item) };
  }
  return undefined;
}

function rangeStart(node: unknown): number | undefined {
  return isScalar(node) || isCollection(node) || isAlias(node) ? node.range?.[0] : undefined;
}
