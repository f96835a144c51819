import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commitment, createCommitter, createSaltSource } from '../../../src/ledger/commitment.js';
const hmac = (salt, body) => createHmac('sha256', salt).update(body).digest('hex');
const salts = fc.uint8Array({ minLength: 16, maxLength: 16 });
describe('commitment', () => {
    it('is HMAC-SHA-256 under the salt, whatever came before', () => {
        const commit = createCommitter();
        fc.assert(fc.property(salts, fc.uint8Array({ maxLength: 300 }), (salt, body) => {
            expect(commit(salt, body)).toBe(hmac(salt, body));
            expect(commitment(salt, body)).toBe(hmac(salt, body));
        }));
    });
    it.each([0, 1, 63, 64, 65, 262_143, 262_144, 262_145, 1_000_000])('holds for a body of %i bytes', (size) => {
        const salt = randomBytes(16);
        const body = randomBytes(size);
        expect(createCommitter()(salt, body)).toBe(hmac(salt, body));
    });
    it('refuses a salt of another length', () => {
        expect(() => createCommitter()(new Uint8Array(15), new Uint8Array(1))).toThrow(RangeError);
    });
    it('draws each salt once, and draws anew when the pool is used up', () => {
        let draws = 0;
        const next = createSaltSource((pool) => {
            draws += 1;
            pool.fill(draws);
            for (let i = 0; i < pool.length; i += 16)
                new DataView(pool.buffer, pool.byteOffset).setUint32(i, i);
        });
        const seen = new Set(Array.from({ length: 3000 }, () => Buffer.from(next()).toString('hex')));
        expect(seen.size).toBe(3000);
        expect(draws).toBe(3);
    });
    it('draws unpredictable salts by default', () => {
        const next = createSaltSource();
        const seen = new Set(Array.from({ length: 5000 }, () => Buffer.from(next()).toString('hex')));
        expect(seen.size).toBe(5000);
    });
});
