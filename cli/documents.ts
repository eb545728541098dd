import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

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

/**
 * Reads policies from files, folders, URLs and standard input (`-`).
 *
 * @param recursive whether folders in folders are read too
 * @throws Failure naming every file that can't be read or parsed
 */
export async function readDocuments(sources: readonly string[], recursive: boolean, timeoutMs: number): Promise<PolicyDocument[]> {
  const documents: PolicyDocument[] = [];
  const wrong: string[] = [];
  for (const [source, text] of await texts(sources, recursive, timeoutMs)) {
    const lines = new LineCounter();
    const parsed = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true });
    for (const document of 'empty' in parsed ? [] : parsed) {
      for (const error of document.errors) {
        const { line, col } = lines.linePos(error.pos[0]);
        wrong.push(`${source}:${line}:${col}: ${error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')}`);
      }
      if (document.errors.length === 0 && document.contents !== null) documents.push(asPolicy(source, document, lines));
    }
  }
  if (wrong.length > 0) throw new Failure(`nothing was applied:\n  ${wrong.join('\n  ')}`, EXIT.refused);
  if (documents.length === 0) throw new Failure(`there is no policy in ${sources.join(', ')}.`, EXIT.refused);
  return documents;
}

async function texts(sources: readonly string[], recursive: boolean, timeoutMs: number): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const source of sources) {
    if (source === '-') found.push(['stdin', readFileSync(0, 'utf8')]);
    else if (/^https?:\/\//.test(source)) found.push([source, await download(source, timeoutMs)]);
    else found.push(...files(source, recursive).map((file): [string, string] => [file, readFileSync(file, 'utf8')]));
  }
  return found;
}

async function download(url: string, timeoutMs: number): Promise<string> {
  const failed = (why: string): Failure => new Failure(`${url} can not be read: ${why}.`, EXIT.refused);
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((error: Error) => {
    throw failed(
      error.name === 'TimeoutError'
        ? `no answer within ${timeoutMs / 1000} s`
        : ((error.cause as NodeJS.ErrnoException)?.code ?? error.message),
    );
  });
  if (!answer.ok) throw failed(`status ${answer.status}`);
  return answer.text();
}

function files(source: string, recursive: boolean): string[] {
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) throw new Failure(`There is no file ${source}.`, EXIT.usage);
  if (!stat.isDirectory()) return [source];
  const names = readdirSync(source, { recursive, encoding: 'utf8' }).filter((name) => ENDINGS.test(name));
  if (names.length === 0) throw new Failure(`There is no .yaml, .yml or .json file in ${source}.`, EXIT.usage);
  return names.sort().map((name) => join(source, name));
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
