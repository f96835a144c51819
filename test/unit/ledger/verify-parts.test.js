// What the verifier accepts as a leaf and as a pack, on their own.
import { hash } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { leafHashOf, readLeaf } from '../../../src/ledger/verify-leaf.js';
import { checkPack } from '../../../src/ledger/verify-pack.js';
import { miniChain, miniRecord } from '../../support/mini-ledger.js';
const HEX = 'ab'.repeat(32);
const UID = ',"uid":"01234567-89ab-4cde-8fab-0123456789ab"';
const BUNDLE = `,"bundle":"sha256:${HEX}"`;
const leaf = (changes) => {
    const { v = '1', seq = '7', time = '2026-01-31T23:59:59.000001Z', kind = 'event', size = '5', extra = '' } = changes;
    return `{"v":${v},"seq":${seq},"time":"${time}","kind":"${kind}","prev":"${HEX}","body":"${HEX}","size":${size}${extra}}`;
};
describe('readLeaf', () => {
    it('reads every kind with the keys that it has', () => {
        const extras = { decision: `${UID}${BUNDLE},"allowed":false`, undelivered: UID, policy: BUNDLE };
        for (const kind of ['start', 'stop', 'policy', 'decision', 'undelivered', 'event', 'redelivery', 'malformed']) {
            const extra = kind in extras ? extras[kind] : '';
            expect(readLeaf(leaf({ kind, extra }))).toEqual({
                seq: 7,
                time: '2026-01-31T23:59:59.000001Z',
                kind,
                prev: HEX,
                body: HEX,
                size: 5,
            });
        }
    });
    it.each([
        ['another version', leaf({ v: '2' })],
        ['an unknown kind', leaf({ kind: 'rumour' })],
        ['a seq with a leading zero', leaf({ seq: '07' })],
        ['a seq below zero', leaf({ seq: '-7' })],
        ['a size of more than 32 bits', leaf({ size: '4294967296' })],
        ['a month 13', leaf({ time: '2026-13-01T00:00:00.000000Z' })],
        ['a 30th of February', leaf({ time: '2028-02-30T00:00:00.000000Z' })],
        ['a 29th of February of an ordinary year', leaf({ time: '2026-02-29T00:00:00.000000Z' })],
        ['a second 60', leaf({ time: '2026-01-01T00:00:60.000000Z' })],
        ['three decimals', leaf({ time: '2026-01-01T00:00:00.000Z' })],
        ['a decision without its keys', leaf({ kind: 'decision' })],
        ['a decision without a uid', leaf({ kind: 'decision', extra: `${BUNDLE},"allowed":true` })],
        ['an event with a uid', leaf({ extra: UID })],
        ['a policy that was allowed', leaf({ kind: 'policy', extra: `${BUNDLE},"allowed":true` })],
        ['a uid in capitals', leaf({ kind: 'undelivered', extra: UID.toUpperCase().replace('UID', 'uid') })],
        ['hex in capitals', leaf({}).replaceAll('ab', 'AB')],
        ['white space', leaf({}).replace(',', ', ')],
        ['a further key', leaf({ extra: ',"more":1' })],
        ['something behind it', `${leaf({})}\n`],
        ['nothing', ''],
    ])('refuses %s', (_what, text) => {
        expect(readLeaf(text)).toBeUndefined();
    });
    it('takes the 29th of February of a leap year', () => {
        expect(readLeaf(leaf({ time: '2028-02-29T00:00:00.000000Z' }))).toBeDefined();
    });
});
describe('leafHashOf', () => {
    it('is SHA-256 over a zero byte and the leaf, for text and bytes alike', () => {
        const text = leaf({});
        const expected = hash('sha256', `\0${text}`);
        expect(leafHashOf(text)).toBe(expected);
        expect(leafHashOf(Buffer.from(text))).toBe(expected);
    });
});
describe('checkPack', () => {
    const bodies = ['one', '', 'x'.repeat(300_000), 'four'].map((text) => Buffer.from(text));
    const leaves = miniChain(bodies.map((body) => ({ kind: 'event', body })));
    const expected = leaves.map(({ bytes }) => readLeaf(bytes.toString('latin1')));
    const records = Buffer.concat(leaves.map(({ salt }, i) => miniRecord(salt, bodies[i])));
    it('takes records plain, compressed, and compressed with a checksum', () => {
        const summed = zstdCompressSync(records, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
        for (const [codec, data] of [
            [0, records],
            [1, zstdCompressSync(records)],
            [1, summed],
        ]) {
            expect(checkPack(codec, data, expected)).toMatchObject({ problems: [], checked: 4, firstBody: bodies[0] });
        }
    });
    it('stops a Zstandard bomb at the size that the format allows', () => {
        const bomb = zstdCompressSync(Buffer.alloc(32 * 1024 * 1024));
        const problem = { kind: 'damaged', from: 0, to: 3, message: expect.stringContaining('cannot be unpacked') };
        expect(checkPack(1, bomb, expected)).toMatchObject({ problems: [problem], checked: 0 });
        expect(checkPack(1, bomb, expected.slice(0, 1)).problems).toMatchObject([{ message: problem.message }]);
    });
    it('refuses two frames, a skippable frame, a cut frame and bytes behind the frame', () => {
        const frame = zstdCompressSync(records);
        const skippable = Buffer.from('502a4d1803000000010203', 'hex');
        for (const data of [
            Buffer.concat([frame, frame]),
            Buffer.concat([frame, skippable]),
            frame.subarray(0, -1),
            Buffer.concat([frame, Buffer.of(0)]),
            Buffer.alloc(0),
        ]) {
            expect(checkPack(1, data, expected).problems).toMatchObject([{ kind: 'damaged', from: 0, to: 3 }]);
        }
    });
    it('skips the body of a leaf that nobody can read, and still checks the others', () => {
        const partial = expected.with(1, undefined);
        expect(checkPack(0, records, partial)).toMatchObject({ problems: [], checked: 3 });
        const changed = Buffer.from(records);
        changed[changed.length - 1] = 0;
        expect(checkPack(0, changed, partial).problems).toMatchObject([{ kind: 'changed', index: 3 }]);
    });
    it('names the entry whose leaf lies about the size, not those behind it', () => {
        const lying = expected.with(2, { ...expected[2], size: 10 });
        expect(checkPack(0, records, lying).problems).toMatchObject([{ kind: 'changed', index: 2 }]);
    });
});
