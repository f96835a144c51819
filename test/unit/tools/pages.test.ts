// Pages name metrics, files and sections of one another: what they name has to be there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const PAGES = [
  ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md'],
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];

const CODE = /```.*?```|`[^`\n]*`/gs;

function textOf(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** Anchors of the headings, as code hosts make them. */
function anchors(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(PAGES)('%s', (page) => {
  it('names metrics that exist', () => {
    const known = textOf('docs/metrics.md');
    const named = textOf(page).match(/\bsealgate_[a-z_]+[a-z]/g) ?? [];
    const missing = named.filter((name) => !known.includes(`| \`${name.replace(/_(bucket|count|sum)$/, '')}\` |`));
    expect(new Set(missing)).toEqual(new Set());
  });

  it('links to files and sections that exist', () => {
    const missing: string[] = [];
    for (const [, target = ''] of textOf(page)
      .replace(CODE, '')
      .matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? page : join(dirname(page), file);
      if (!existsSync(join(ROOT, path))) missing.push(target);
      else if (anchor !== undefined && !anchors(path).includes(anchor)) missing.push(target);
    }
    expect(missing).toEqual([]);
  });
});
