import { describe, expect, it } from 'vitest';
import { formatEntry } from '../../../src/cli/query-entry.js';
const answer = (changes) => JSON.stringify({
    ...{ shard: 0, seq: 7, origin: 'example.org/test/0/0', leaf: '{"v":1}', leafHash: 'ab', salt: 'cd' },
    checks: { body: 'good', previous: 'good', next: 'unknown', checkpoint: 'good' },
    links: [{ state: 'verified', shard: 0, seq: 9, kind: 'event', code: 201 }],
    body: { name: 'web' },
    ...changes,
});
describe('one entry for a person', () => {
    it('tells what verifies, what nobody can know yet, and what it is joined with', () => {
        const { text, verifies } = formatEntry(answer({}));
        expect(verifies).toBe(true);
        expect(text).toMatch(/^Entry 0\/7 of example\.org\/test\/0\/0\n/);
        expect(text).toContain('  yes      the body is the one that the leaf commits to\n');
        expect(text).toContain('  unknown  the next entry follows this one\n');
        expect(text).toContain('Joined     event 0/9, verified\n');
        expect(text).toContain('{\n  "name": "web"\n}');
    });
    it.each(['body', 'previous', 'next', 'checkpoint'])('cannot be overlooked when %s does not verify', (check) => {
        const checks = { body: 'good', previous: 'good', next: 'good', checkpoint: 'good', [check]: 'bad' };
        const { text, verifies } = formatEntry(answer({ checks }));
        expect(verifies).toBe(false);
        expect(text).toContain('DOES NOT VERIFY');
        expect(text.match(/^ {2}NO /gm)).toHaveLength(1);
    });
    it('shows control characters instead of obeying them', () => {
        const claim = 'd.x=\u001b[2J\u202eevil';
        const { text } = formatEntry(answer({ links: [{ state: 'mismatch', claim }], body: { name: '\u001b[31m\u009b' } }));
        expect(text).toContain('mismatch (d.x=\\u001b[2J\\u202eevil)');
        for (const raw of ['\u001b', '\u009b', '\u202e'])
            expect(text).not.toContain(raw);
    });
});
