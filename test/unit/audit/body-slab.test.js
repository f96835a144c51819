import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodySlab } from '../../../src/audit/body-slab.js';
describe('a slab of bodies', () => {
    it('keeps every body of a batch until the next batch begins, however many and however large they are', () => {
        const slab = new BodySlab();
        const sizes = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 400_000 }));
        const batch = fc.record({ announced: fc.nat(1_000_000), sizes: fc.array(sizes, { maxLength: 12 }) });
        void fc.assert(fc.property(fc.array(batch, { maxLength: 4 }), (batches) => {
            for (const { announced, sizes: of } of batches) {
                slab.begin(announced);
                const events = of.map((size, i) => Buffer.alloc(size, 0x41 + i));
                const bodies = events.map((event) => slab.body(Buffer.from('{"event":'), event));
                const wanted = events.map((event) => Buffer.concat([Buffer.from('{"event":'), event, Buffer.from('}')]));
                expect(bodies.every((body, i) => body.equals(wanted[i]))).toBe(true);
            }
        }), { numRuns: 60 });
    });
    it('puts the bodies of a batch in one piece of memory', () => {
        const slab = new BodySlab();
        slab.begin(2000);
        const bodies = [1, 2, 3].map(() => slab.body(Buffer.from('{"a":'), Buffer.from('"b"')));
        expect(new Set(bodies.map(({ buffer }) => buffer)).size).toBe(1);
    });
});
