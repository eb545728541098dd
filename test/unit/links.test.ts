import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;

/** GitHub's anchors of a page's headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
}

/** What is wrong with the links of a page; those to other sites are left alone. */
function brokenLinks(page: string): string[] {
  const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, '');
  const text = withoutCode(readFileSync(join(ROOT, page), 'utf8'));
  return [...text.matchAll(LINK)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, file))) return [`${target}: no such file`];
    if (anchor === undefined || anchors(withoutCode(readFileSync(join(ROOT, file), 'utf8'))).includes(anchor)) return [];
    return [`${target}: no such heading`];
  });
}

describe('links', () => {
  const pages = globSync(['*.md', 'docs/**/*.md', 'examples/*.md'], { cwd: ROOT }).sort();

  it('are looked for in every page there is', () => {
    assert.ok(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'examples/README.md'].every((page) => pages.includes(page)));
  });

  for (const page of pages) {
    it(`of ${page} lead somewhere`, () => assert.deepEqual(brokenLinks(page), []));
  }

  it('of the decisions: their table of contents has every page', () => {
    const contents = readFileSync(join(ROOT, 'docs/decisions/README.md'), 'utf8');
    const missing = globSync('docs/decisions/[0-9]*.md', { cwd: ROOT }).filter(
      (page) => !contents.includes(`(${page.replace(/.*\//, '')})`),
    );
    assert.deepEqual(missing, []);
  });
});
