/** A sentence of the policy reference, and where it stands: under a heading, or at a field by its path. */
export interface Sentence {
  readonly place: string;
  readonly text: string;
}

/** The sentences of a page of Markdown, in order; what a `;` divides are two. Titles, code blocks and other columns of tables than the last are none. */
export function sentencesOf(page: string): Sentence[] {
  let title = '';
  return blocksOf(page).flatMap((block) => {
    if (block.startsWith('#')) {
      title = block.replace(/^#+ /, '');
      return [];
    }
    const { place, text } = block.startsWith('|') ? row(title, block) : { place: firstPath(title), text: block };
    return divided(text).map((one) => ({ place, text: one }));
  });
}

/** Headings, rows of tables, and paragraphs and items of lists in one line each. */
function blocksOf(page: string): string[] {
  return page
    .replaceAll(/<!--.*?-->/gs, '')
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/\n *(?![ \n#|]|- |\d+\. )/g, ' ')
    .split('\n')
    .map((block) => block.replace(/^(- |\d+\. )/, '').trim())
    .filter((block) => block !== '' && !/^\|[-|]+$/.test(block));
}

/** What the last column says. A table of fields has five, and stands under the paths of the objects that it is for. */
function row(title: string, line: string): Sentence {
  const cells = line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
  const name = (cells[0] ?? '').replaceAll('`', '');
  if (name === 'field' || name === '') return { place: title, text: '' };
  const place = cells.length === 5 ? `${firstPath(title)}.${name}` : `${title}: ${name}`;
  return { place, text: cells.at(-1) ?? '' };
}

/** A title names all the objects that share a table. */
function firstPath(title: string): string {
  return title.startsWith('`') ? (title.split(', ')[0] ?? '').replaceAll('`', '') : title;
}

/** Divides at full stops and semicolons, but for those in code and in parentheses. */
function divided(text: string): string[] {
  const pieces = text.match(/(?:`[^`]*`|\((?:`[^`]*`|[^`)])*\)|[^`(])+?(?:[.;](?= |$)|(?<=\.\))(?= |$)|$)/g) ?? [];
  return pieces.map((piece) => piece.trim().replace(/[.;]$/, '')).filter((piece) => piece !== '');
}
