import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareValues, integerOf, numberOf, printValue, RegoNumber, RegoObject, RegoSet, toJson, writeValue, } from '../../../src/policy/terms.js';
import { parseValue } from '../../../src/policy/terms-parse.js';
const value = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, fc.constant(null), fc.boolean(), fc.string({ unit: 'grapheme' }), fc.integer(), fc.constantFrom(...['9007199254740993', '1.0', '1e400', '-0.5', '1e+21', '123456789012345678901234567890'].map(numberOf)), fc.array(tie('value')), fc.array(tie('value')).map((members) => new RegoSet(members)), fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new RegoObject(unique(entries)))),
})).value;
function unique(entries) {
    return entries.filter(([key], i) => entries.findIndex(([other]) => compareValues(other, key) === 0) === i);
}
describe('Rego values', () => {
    it('come back from their text as they were', () => {
        fc.assert(fc.property(value, (original) => {
            expect(parseValue(writeValue(original))).toEqual(original);
        }));
    });
    it('come back from their printed form, spaces and all, where it is plain text', () => {
        const plain = new RegoObject([
            ['a', [1, new RegoSet([2, 'x']), new RegoSet([])]],
            [['k'], null],
        ]);
        expect(printValue(plain)).toBe('{"a": [1, {2, "x"}, set()], ["k"]: null}');
        expect(parseValue(printValue(plain))).toEqual(plain);
    });
    it('have a total order: antisymmetric and transitive', () => {
        fc.assert(fc.property(value, value, value, (a, b, c) => {
            expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0);
            const [x, y, z] = [a, b, c].sort(compareValues);
            expect(compareValues(x, y) <= 0 && compareValues(y, z) <= 0 && compareValues(x, z) <= 0).toBe(true);
        }));
    });
    it('order types and strings as OPA does, by code point', () => {
        const ordered = [
            null,
            false,
            true,
            -1,
            2,
            numberOf('9007199254740993'),
            '',
            'a',
            '\uffff',
            '😀',
            [],
            [1],
            new RegoObject([]),
            new RegoSet([]),
        ];
        expect([...ordered].reverse().sort(compareValues)).toEqual(ordered);
    });
    it('keep the text of a number that JavaScript would change', () => {
        for (const text of ['9007199254740993', '1.0', '1e400', '-0', '1E5']) {
            expect(numberOf(text)).toEqual(new RegoNumber(text));
            expect(writeValue(numberOf(text))).toBe(text);
        }
        expect(numberOf('1.5')).toBe(1.5);
    });
    it('know an integer by its value', () => {
        const integers = [
            ['12', 12n],
            ['-0', 0n],
            ['1.0', 1n],
            ['1.50', undefined],
            ['15e-1', undefined],
            ['1.5e3', 1500n],
            ['20e-1', 2n],
            ['1e99999', undefined],
        ];
        for (const [text, expected] of integers)
            expect(integerOf(numberOf(text)), text).toBe(expected);
    });
    it('hold a member of a set once', () => {
        expect(new RegoSet([2, 1, 2, numberOf('1.0')]).members).toHaveLength(2);
    });
    it('become JSON without touching a prototype', () => {
        const json = toJson(new RegoObject([
            ['__proto__', 1],
            [new RegoSet([1]), 2],
        ]));
        expect(JSON.stringify(json)).toBe('{"__proto__":1,"{1}":2}');
        expect(Object.getPrototypeOf(json)).toBe(Object.prototype);
    });
    it('refuse text that is no dumped value', () => {
        for (const text of ['', '{', '[1', '{1:', '"a', 'nul', '1 2', '{"a" 1}', 'set(']) {
            expect(() => parseValue(text), text).toThrow(SyntaxError);
        }
    });
});
