import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadSettings } from '../../../src/config/loader.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/mirror.md'), 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text ?? '');

describe('docs/mirror.md', () => {
  it('has documents that can be copied as they are', () => {
    const documents = blocks('json').map((text) => JSON.parse(text) as { Statement?: unknown; Rules?: unknown });
    expect(documents).toHaveLength(4);
    for (const { Statement, Rules } of documents) expect(Statement ?? Rules).toBeInstanceOf(Array);
  });

  it('shows settings that there are', () => {
    for (const text of blocks('yaml')) {
      const { mirror } = parse(text) as { mirror: { url: string; s3: Record<string, unknown> } };
      const flags = Object.fromEntries(
        Object.entries(mirror.s3).map(([name, value]) => [`mirrorS3${name[0]?.toUpperCase()}${name.slice(1)}`, value]),
      );
      expect(loadSettings({ flags: { mirrorUrl: mirror.url, ...flags } }).settings.mirror).toMatchObject(mirror);
    }
    const named = new Set(
      [...page.matchAll(/`(mirror\.[A-Za-z0-9.]*[A-Za-z0-9])(?:`|:)/g)].map(([, name]) => name as string),
    );
    const settings = readFileSync(join(import.meta.dirname, '../../../docs/settings.md'), 'utf8');
    for (const name of named) expect(settings, name).toMatch(new RegExp(`\`${name}[\`.]`));
  });
});
