import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RemovedValues } from '../../../src/redact/scrub.js';
function scrubber(values, base64 = false, known = []) {
    const removed = new RemovedValues(known);
    for (const value of values)
        removed.add(value, base64);
    return removed.scrubber();
}
describe('scrubbing', () => {
    it('takes out a value as it was, trimmed, escaped, encoded, and by its lines', () => {
        const value = 'first "line" of it\nsecond line of it\n';
        const { text } = scrubber([value]);
        for (const form of [
            value,
            value.trim(),
            JSON.stringify(value).slice(1, -1),
            encodeURIComponent(value),
            Buffer.from(value).toString('base64'),
            'second line of it',
        ]) {
            expect(text(`<${form}>`)).toMatch(/^<\[redacted\]=*>$/);
        }
    });
    it('takes out what the value of a Secret stands for', () => {
        const { text } = scrubber([Buffer.from('pass wörd\n').toString('base64')], true);
        expect(text('uses pass wörd, or cGFzcyB3w7ZyZAo= here')).toBe('uses [redacted], or [redacted] here');
    });
    it('takes out a value that the end of the text cuts off', () => {
        const { text } = scrubber(['abcdefghijklmnop']);
        expect(text('it is abcdefghij…')).toBe('it is [redacted]…');
        expect(text('it is abcdefghij')).toBe('it is [redacted]');
        expect(text('it is abcdefghij...')).toBe('it is [redacted]...');
        expect(text('it is abcdefghix')).toBe('it is abcdefghix');
        expect(text('it is abcde')).toBe('it is abcde');
    });
    it('takes a short value out only where it stands alone', () => {
        const { text } = scrubber(['abc', '1']);
        expect(text('abc, abcd, x_abc, "abc" 1 10 v1')).toBe('[redacted], abcd, x_abc, "[redacted]" [redacted] 10 v1');
    });
    it('takes out the longer of two values first', () => {
        expect(scrubber(['secret', 'secret-and-more']).text('secret-and-more')).toBe('[redacted]');
    });
    it('leaves what the record shows anyway', () => {
        expect(scrubber(['shop', 'hunter2'], false, ['shop']).text('shop hunter2')).toBe('shop [redacted]');
    });
    it('cleans keys, strings and numbers anywhere in a value', () => {
        const { value } = scrubber(['hunter2', '12345']);
        expect(value({ hunter2: [{ a: 'my hunter2', n: 12345, m: 123456 }], b: null, c: true })).toEqual({
            '[redacted]': [{ a: 'my [redacted]', n: '[redacted]', m: 123456 }],
            b: null,
            c: true,
        });
        expect(value(JSON.parse('{"__proto__":{"x":"hunter2"}}'))).toEqual(JSON.parse('{"__proto__":{"x":"[redacted]"}}'));
        let deep = 'hunter2';
        for (let i = 0; i < 100_000; i++)
            deep = [deep];
        expect(JSON.stringify(value(deep))).not.toContain('hunter2');
    });
    it('leaves no value of four characters or more, whatever the values are', () => {
        const value = fc.string({ minLength: 4, maxLength: 12, unit: 'binary' }).filter((v) => !'[redacted]'.includes(v));
        void fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.string(), (values, around) => {
            const { text } = scrubber(values);
            const original = around + values.join(around) + around;
            const kept = text(original).split('[redacted]').join('\u0000\u0000');
            for (const v of values)
                if (!v.includes('\u0000'))
                    expect(kept).not.toContain(v);
        }));
    });
    it('does not take a dollar sign in a value or text for a pattern', () => {
        expect(scrubber(['a$&b', '$1xy']).text('a$&b $1xy')).toBe('[redacted] [redacted]');
    });
    it('takes out whole texts where looking for every value in them would take for ever', () => {
        const values = Array.from({ length: 100_000 }, (_, i) => `value-${i}-of-many`);
        const { text, value } = scrubber(values);
        const long = 'nothing of it '.repeat(100_000);
        for (let i = 0; i < 100; i++)
            expect(text(`${long} value-99999-of-many`)).toBe('[redacted]');
        expect(value({ a: long, n: 7, b: null })).toEqual({ '[redacted]': null });
    });
    it('shares the limit among the manifests of a document', () => {
        const removed = new RemovedValues();
        for (let i = 0; i < 30_000; i++)
            removed.add(`value-${i}-of-many`);
        let whole = 0;
        for (let i = 0; i < 2000; i++) {
            removed.add(`value-of-manifest-${i}`);
            if (removed.scrubber().text('harmless') === '[redacted]')
                whole++;
        }
        expect(whole).toBeGreaterThan(1900);
    });
    it('leaves what quotes nothing as it is beside as many values as a Secret usually has', () => {
        const { text } = scrubber(Array.from({ length: 100 }, (_, i) => `value-${i}-of-many`));
        const long = 'nothing of it '.repeat(1000);
        for (let i = 0; i < 20; i++)
            expect(text(long)).toBe(long);
    });
});
