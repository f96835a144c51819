import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../../src/lib/errors.js';
describe('error codes', () => {
    it('are all in docs/errors.md, with the meaning that the code gives, and no others are', () => {
        const page = readFileSync(join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
        const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|/gm)].map(([, code, meaning]) => [
            code,
            meaning?.trim(),
        ]);
        expect(Object.fromEntries(rows)).toEqual(ERROR_CODES);
    });
});
