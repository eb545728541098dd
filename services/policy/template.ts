import { keptName } from './header-text.ts';

/** Texts with places that the request fills: `{{method}}`, `{{path}}`, `{{header x-user}}`. */

export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'method' | 'path' }
  | { readonly kind: 'header'; readonly name: string };

const PLACE = /\{\{\s*(.*?)\s*\}\}/gs;
const HEADER = /^header\s+([!#$%&'*+\-.^_`|~0-9A-Za-z]+)$/;

/** What may stand between the braces, for error messages. */
export const TEMPLATE_WORDS = '{{method}}, {{path}} or {{header NAME}}';

/** Takes a text apart. @returns the segments, or the place that means nothing */
export function parseTemplate(text: string): Segment[] | { unknown: string } {
  const segments: Segment[] = [];
  let from = 0;
  for (const found of text.matchAll(PLACE)) {
    if (found.index > from) segments.push({ kind: 'text', text: text.slice(from, found.index) });
    from = found.index + found[0].length;
    const word = found[1] ?? '';
    const header = HEADER.exec(word)?.[1];
    if (word === 'method' || word === 'path') segments.push({ kind: word });
    else if (header !== undefined) segments.push({ kind: 'header', name: keptName(header) });
    else return { unknown: found[0] };
  }
  if (from < text.length) segments.push({ kind: 'text', text: text.slice(from) });
  return segments;
}
