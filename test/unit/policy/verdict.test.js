import { describe, expect, it } from 'vitest';
import { fromJson, RegoObject, RegoSet } from '../../../src/policy/terms.js';
import { MAX_MEMBERS, MAX_MESSAGE_CHARS, membersOf, ShapeError } from '../../../src/policy/verdict.js';
const set = (...members) => new RegoSet(members.map(fromJson));
describe("a rule's value", () => {
    it('becomes messages with details', () => {
        expect(membersOf('deny', set('a', { msg: 'b' }, { message: 'c', n: 1 }, { msg: 'd', details: { k: 'v' } }))).toEqual([
            { message: 'a' },
            { message: 'd', details: { k: 'v' } },
            { message: 'c', details: { n: 1 } },
            { message: 'b' },
        ]);
        expect(membersOf('deny', undefined)).toEqual([]);
        expect(membersOf('deny', set())).toEqual([]);
    });
    it.each([
        ['a boolean', true, 'deny must be a set of messages, but is a boolean'],
        ['an array', ['x'], 'but is an array'],
        ['an object', new RegoObject([['x', true]]), 'but is an object'],
        ['null', null, 'but is null'],
        ['a set of numbers', set(1), 'but one is a number'],
        ['a set of objects without a message', set({ mesage: 'x' }), 'must have msg or message as text; it has mesage'],
        ['a message that is a number', set({ msg: 1 }), 'must have msg or message as text'],
    ])('that is %s is refused with what it is', (_what, value, message) => {
        expect(() => membersOf('deny', value)).toThrow(ShapeError);
        expect(() => membersOf('deny', value)).toThrow(message);
    });
    it('is bounded in members, in the length of a message, and in details', () => {
        const many = membersOf('deny', new RegoSet(Array.from({ length: 1000 }, (_, i) => `m${i}`)));
        expect(many).toHaveLength(MAX_MEMBERS + 1);
        expect(many.at(-1)).toEqual({ message: '… and 900 more' });
        const [long] = membersOf('deny', set('x'.repeat(100_000)));
        expect(long?.message).toHaveLength(MAX_MESSAGE_CHARS + 1);
        const [detailed] = membersOf('deny', set({ msg: 'x', big: 'y'.repeat(100_000) }));
        expect(detailed?.details).toEqual({ truncated: 'details of 100010 characters were left out' });
    });
});
