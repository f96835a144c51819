import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonDocument, jsonName } from '../../../src/lib/json-document.js';
import { elements } from '../../../src/lib/json-elements.js';
const ITEMS = jsonName('items');
/** The elements as text, broken ones with an exclamation mark in front; members of the object by name. */
function cut(text) {
    const bytes = Buffer.from(text);
    const doc = new JsonDocument();
    const found = { elements: [], members: [], arrays: 0 };
    for (const part of elements(bytes, ITEMS, doc)) {
        if (part.type === 'array')
            found.arrays++;
        else if (part.type === 'member')
            found.members.push(`${part.name}=${doc.slice(0)}`);
        else {
            if (part.error === undefined)
                expect(doc.slice(0)).toEqual(bytes.subarray(part.start, part.end));
            found.elements.push(`${part.error === undefined ? '' : '!'}${bytes.toString('utf8', part.start, part.end)}`);
        }
    }
    return found;
}
describe('elements', () => {
    it('cuts out every element byte for byte, wherever the array stands', () => {
        const element = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value, null, 1));
        void fc.assert(fc.property(fc.array(element), fc.boolean(), (list, last) => {
            const array = `"items" : [ ${list.join(' ,\n')} ]`;
            const rest = '"kind":"EventList","metadata":{"items":[7]}';
            const { elements: found, members } = cut(`{${last ? `${rest},${array}` : `${array},${rest}`}}`);
            expect(found).toEqual(list);
            expect(members).toEqual(['kind="EventList"', 'metadata={"items":[7]}']);
        }));
    });
    it('keeps the bytes of numbers, escapes and order that parsing would change', () => {
        const items = ['{"n":12345678901234567890.0e-1,"b":1,"a":"\\u0041\\/","a":2}', '"\\ud800"'];
        expect(cut(`{"items":[${items.join(',')}]}`).elements).toEqual(items);
    });
    it.each([
        ['{"a":tru}', 'a word that is no value'],
        ['{"a":1', 'a missing brace, where the array ends'],
        ['{"a":[1}', 'a bracket closed by a brace'],
        ['{"a":1}}', 'a brace too many'],
        ['{"a":1} x', 'something behind the end'],
        ['{"a":"\n"}', 'a control character'],
        ['{"a":"\\q","b":"]"}', 'an unknown escape'],
        [`${'['.repeat(10_001)}${']'.repeat(10_001)}`, 'too many levels'],
    ])('hands out a broken element with its error and goes on behind it: %s', (broken) => {
        const good = '{"level":"Metadata"}';
        const { elements: found } = cut(`{"items":[${good},${broken}],"kind":"EventList"}`);
        expect(found).toEqual([good, `!${broken}`]);
        if (!broken.endsWith('1')) {
            expect(cut(`{"items":[${broken},${good}],"kind":"EventList"}`).elements).toEqual([`!${broken}`, good]);
        }
    });
    it('reports an element that is not UTF-8', () => {
        const bytes = Buffer.concat([Buffer.from('{"items":["'), Buffer.from([0xc3, 0x28]), Buffer.from('","ok"]}')]);
        const found = cut(bytes).elements;
        expect(found).toHaveLength(2);
        expect(found[0]).toMatch(/^!/);
        expect(found[1]).toBe('"ok"');
    });
    it('hands out all that follows as one element when nothing tells where the next one begins', () => {
        expect(cut('{"kind":1,"items":[1,{"a":"b}, {"c":2}]}').elements).toEqual(['1', '!{"a":"b}, {"c":2}]}']);
    });
    it('takes null and an empty array for no elements, and every array of that name', () => {
        expect(cut('{"items":null}')).toMatchObject({ elements: [], arrays: 1 });
        expect(cut('{"items":[]}')).toMatchObject({ elements: [], arrays: 1 });
        expect(cut('{}')).toMatchObject({ elements: [], arrays: 0 });
        expect(cut('{"items":[1],"\\u0069tems":[2]}').elements).toEqual(['1', '2']);
    });
    it('refuses what is wrong outside the elements', () => {
        const wrong = ['', '[]', '{"items":5}', '{"items":[1]', '{"items":[1]}x', '{"items":[1],}', '{"a" 1}', '{a:1}'];
        for (const text of wrong) {
            expect(() => cut(text), text).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
        }
    });
    it('ends on every text, and loses no byte of an array that it ends normally on', () => {
        const soup = fc.string({ unit: fc.constantFrom(...'{}[]",:\\1a ') });
        void fc.assert(fc.property(soup, (text) => {
            try {
                const bytes = Buffer.from(`{"items":[${text}]}`);
                let at = '{"items":['.length;
                for (const part of elements(bytes, ITEMS, new JsonDocument())) {
                    if (part.type !== 'element')
                        continue;
                    expect(bytes.toString('utf8', at, part.start)).toMatch(/^[ ,]*$/);
                    at = part.end;
                }
            }
            catch (error) {
                expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
            }
        }), { numRuns: 2000 });
    });
    it('finds the end of a broken element however many brackets in it fit no other', () => {
        const item = `${'['.repeat(400_000)}${'}'.repeat(400_000)}`;
        expect(cut(`{"items":[${item}${']'.repeat(400_000)},1]}`).elements).toEqual([
            `!${item}${']'.repeat(400_000)}`,
            '1',
        ]);
    });
});
