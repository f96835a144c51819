import { hash, randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODEC_NONE, CODEC_ZSTD, decodePack, MAX_PACK_BYTES, PackBuilder } from '../../../src/ledger/pack.js';
const corrupt = expect.objectContaining({ code: 'LEDGER_CORRUPT' });
function build(bodies) {
    const builder = new PackBuilder();
    const salts = bodies.map(() => randomBytes(16));
    for (const [i, body] of bodies.entries()) {
        expect(builder.fits(body.length)).toBe(true);
        builder.add(salts[i], body);
    }
    return { pack: builder.take(), salts };
}
describe('pack', () => {
    it('gives back every body with its salt', () => {
        fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 256 }), (bodies) => {
            const { pack, salts } = build(bodies);
            const read = decodePack(pack.codec, pack.data, pack.count, MAX_PACK_BYTES);
            expect(read.map(({ body }) => Buffer.from(body))).toEqual(bodies.map((body) => Buffer.from(body)));
            expect(read.map(({ salt }) => salt)).toEqual(salts);
        }), { numRuns: 30 });
    });
    it('compresses what resembles itself, and leaves alone what does not', () => {
        expect(build(Array.from({ length: 100 }, () => Buffer.alloc(1500, 'abc'))).pack).toMatchObject({
            codec: CODEC_ZSTD,
        });
        expect(build([randomBytes(500)]).pack).toMatchObject({ codec: CODEC_NONE });
    });
    it('is one frame, whatever its size: also where a chunk of zlib is full to the brim', () => {
        // Hex of hashes: the same in every run, and compressed to about a half.
        const hex = Array.from({ length: 600 }, (_, i) => hash('sha256', String(i))).join('');
        const empty = Buffer.from('28b52ffd2000010000', 'hex');
        const sizes = new Set();
        const builder = new PackBuilder();
        for (let length = 32_100; length < 32_300; length++) {
            for (const from of [0, 1000, 2000]) {
                builder.add(Buffer.alloc(16), Buffer.from(hex.slice(from, from + length)));
                const { data } = builder.take();
                sizes.add(data.length);
                expect(data.subarray(-empty.length).equals(empty), `${length} bytes from ${from}`).toBe(false);
            }
        }
        expect(sizes).toContain(16_384);
    });
    it('takes at most 256 entries and 1 MiB, but one body of any size', () => {
        const builder = new PackBuilder();
        expect(builder.fits(50_000_000)).toBe(true);
        for (let i = 0; i < 256; i++)
            builder.add(randomBytes(16), randomBytes(10));
        expect(builder.fits(0)).toBe(false);
        expect(builder.take()?.count).toBe(256);
        builder.add(randomBytes(16), new Uint8Array(MAX_PACK_BYTES - 2 * 21 - 5));
        expect(builder.fits(5)).toBe(true);
        expect(builder.fits(6)).toBe(false);
        builder.clear();
        const large = randomBytes(3 * MAX_PACK_BYTES);
        builder.add(randomBytes(16), large);
        expect(builder.fits(0)).toBe(false);
        const pack = builder.take();
        expect(decodePack(pack.codec, pack.data, 1, large.length + 21)[0]?.body.equals(large)).toBe(true);
        expect(builder.take()).toBeUndefined();
    });
    it('refuses damage: records cut off, left over, of an unknown state or codec', () => {
        const { pack } = build([randomBytes(100), randomBytes(100)]);
        const { data } = pack;
        expect(() => decodePack(CODEC_NONE, data.subarray(0, -1), 2, 1000)).toThrow(corrupt);
        expect(() => decodePack(CODEC_NONE, data, 1, 1000)).toThrow(corrupt);
        expect(() => decodePack(CODEC_NONE, data, 3, 1000)).toThrow(corrupt);
        expect(() => decodePack(7, data, 2, 1000)).toThrow(corrupt);
        expect(() => decodePack(CODEC_ZSTD, data, 2, 1000)).toThrow(corrupt);
        const otherState = Buffer.from(data);
        otherState[0] = 2;
        expect(() => decodePack(CODEC_NONE, otherState, 2, 1000)).toThrow(corrupt);
    });
    it('unpacks no more than it was told to expect', () => {
        const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
        expect(bomb.length).toBeLessThan(10_000);
        expect(() => decodePack(CODEC_ZSTD, bomb, 1, MAX_PACK_BYTES)).toThrow(corrupt);
        expect(() => decodePack(CODEC_NONE, Buffer.alloc(100), 1, 99)).toThrow(corrupt);
    });
});
