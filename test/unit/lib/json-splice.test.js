import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../../src/lib/json-document.js';
import { parseJsonPath } from '../../../src/lib/json-path.js';
import { replaceAt, splice } from '../../../src/lib/json-splice.js';
const X = Buffer.from('"x"');
function replaced(text, ...paths) {
    const doc = new JsonDocument();
    doc.scan(Buffer.from(text));
    return replaceAt(doc, paths.map(parseJsonPath), X).toString();
}
describe('splice', () => {
    it('leaves every byte outside the edits as it was, in whatever order they come', () => {
        const edit = fc.tuple(fc.nat(40), fc.nat(40), fc.uint8Array({ maxLength: 5 }));
        void fc.assert(fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), fc.array(edit), (bytes, wanted) => {
            const edits = wanted.map(([a, b, put]) => ({ start: Math.min(a, b), end: Math.max(a, b), bytes: put }));
            // Only disjoint edits have one right answer.
            const disjoint = [];
            for (const e of edits.toSorted((a, b) => a.start - b.start)) {
                if ((disjoint.at(-1)?.end ?? -1) < e.start)
                    disjoint.push(e);
            }
            const expected = [];
            for (let at = 0; at <= 40; at++) {
                for (const e of disjoint)
                    if (e.start === at)
                        expected.push(...e.bytes);
                if (at < 40 && !disjoint.some((e) => e.start <= at && at < e.end))
                    expected.push(bytes[at]);
            }
            const text = Buffer.from(bytes);
            expect([...splice(text, disjoint)]).toEqual(expected);
            expect([...splice(text, disjoint.toReversed())]).toEqual(expected);
        }));
    });
    it('gives the very same bytes when there is nothing to edit', () => {
        const text = Buffer.from('abc');
        expect(splice(text, [])).toBe(text);
        expect(splice(text, [], 1, 2).buffer).toBe(text.buffer);
    });
    it('drops an edit inside another one', () => {
        const edits = [
            { start: 1, end: 2, bytes: Buffer.from('-') },
            { start: 0, end: 3, bytes: Buffer.from('+') },
            { start: 0, end: 1, bytes: Buffer.from('*') },
        ];
        expect(splice(Buffer.from('abcd'), edits).toString()).toBe('+d');
    });
});
describe('replaceAt', () => {
    it('replaces the value at a path, each time a duplicate key repeats it, and nothing else', () => {
        const text = '{ "a" : {"b":12345678901234567890, "c":"\\u00e9"}, "d":[{"b":1},{"b":2}], "a":{"\\u0062":{"b":1}} }';
        expect(replaced(text, 'a.b')).toBe('{ "a" : {"b":"x", "c":"\\u00e9"}, "d":[{"b":1},{"b":2}], "a":{"\\u0062":"x"} }');
        expect(replaced(text, 'd[*].b')).toContain('"d":[{"b":"x"},{"b":"x"}]');
        expect(replaced(text, 'd[1].b')).toContain('"d":[{"b":1},{"b":"x"}]');
        expect(replaced(text, 'a.*')).toContain('{"b":"x", "c":"x"}');
        expect(replaced(text, 'b', 'a.b.c.d', 'd.b', 'd[7]')).toBe(text);
    });
    it('changes of any document exactly what the path names', () => {
        const object = fc.dictionary(fc.constantFrom('a', 'b', 'c d'), fc.jsonValue({ maxDepth: 2 }));
        void fc.assert(fc.property(fc.dictionary(fc.constantFrom('a', 'b'), object), (value) => {
            const expected = structuredClone(value);
            for (const inner of Object.values(expected))
                if ('c d' in inner)
                    inner['c d'] = 'x';
            // JSON.stringify prints what stayed the same in the same way.
            expect(replaced(JSON.stringify(value, null, 1), '*["c d"]')).toBe(JSON.stringify(expected, null, 1));
        }));
    });
});
describe('parseJsonPath', () => {
    it('reads names, quoted names, wildcards and indices', () => {
        const steps = (text) => parseJsonPath(text).map((step) => (typeof step === 'object' ? step.text : step));
        expect(steps('data.password')).toEqual(['data', 'password']);
        expect(steps('spec.containers[*].env[3].value')).toEqual(['spec', 'containers', '*', 'env', 3, 'value']);
        expect(steps('metadata.annotations["example.com/a\\"b"]')).toEqual(['metadata', 'annotations', 'example.com/a"b']);
        expect(steps('["x"].*')).toEqual(['x', '*']);
    });
    it.each(['', '.a', 'a.', 'a..b', 'a[', 'a[b]', 'a["b]', 'a b', 'a]', 'a["\\q"]', '[0]a'])('refuses %j', (text) => {
        expect(() => parseJsonPath(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    });
});
