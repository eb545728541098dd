import * as layout from '../../../filter/assembly/layout.ts';
import type { PathChange, QueryChange } from '../../policy/rewrite.ts';
import type { Block } from './block.ts';
import { type FieldChange, writeFields } from './field-changes.ts';

export function writeRewrite(block: Block, path: PathChange | undefined, query: QueryChange | undefined): number {
  const at = block.take(layout.REWRITE_BYTES);
  const { prefix, to } = typeof path === 'object' ? path : { prefix: '', to: path ?? '' };
  const [text, replaced] = [block.text(to), block.text(prefix)];
  block.u32(at + layout.REWRITE_PATH, text.offset);
  block.u32(at + layout.REWRITE_PATH_LENGTH, text.length);
  block.u32(at + layout.REWRITE_PREFIX, replaced.offset);
  block.u32(at + layout.REWRITE_PREFIX_LENGTH, replaced.length);
  writeFields(block, at + layout.REWRITE_PARAMETERS, at + layout.REWRITE_PARAMETER_COUNT, parametersOf(query));
  return at;
}

/** Removed before set, as with headers: the filter takes the first that has a parameter's name. */
function parametersOf({ set = {}, add = {}, remove = [] }: QueryChange = {}): FieldChange[] {
  const written = (operation: number, parameters: Readonly<Record<string, string>>): FieldChange[] =>
    Object.entries(parameters).map(([name, value]) => ({ operation, name, value: `${encoded(name)}=${encoded(value)}` }));
  return [
    ...remove.filter((name) => !Object.hasOwn(set, name)).map((name) => ({ operation: layout.FIELD_REMOVE, name, value: '' })),
    ...written(layout.FIELD_SET, set),
    ...written(layout.FIELD_ADD, add),
  ];
}

const UNRESERVED = /[A-Za-z0-9\-._~]/;

/** Percent-encodes every byte but the unreserved characters (RFC 3986, sections 2.1 and 2.3). */
function encoded(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
