import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntryBundle, encodeEntryBundle } from '../../../src/tlog/entry-bundle.js';
import { checkInclusion, makeInclusionProof } from '../../../src/tlog/inclusion.js';
import { rangeRoot } from '../../../src/tlog/subtree.js';
import { decodeTile, tileNodeReader } from '../../../src/tlog/tile.js';
import { TileBuilder } from '../../../src/tlog/tile-builder.js';
import { parseTilePath, partialWidth, tilePath, tilesBetween, } from '../../../src/tlog/tile-path.js';
import { codeOf, naiveRoot, nodesOf, someLeaves } from './naive.js';
describe('tile paths', () => {
    it('are those of the specification', () => {
        const cases = [
            [{ kind: 'tile', level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
            [{ kind: 'tile', level: 0, index: 0, width: 256 }, 'tile/0/000'],
            [{ kind: 'tile', level: 0, index: 999, width: 256 }, 'tile/0/999'],
            [{ kind: 'tile', level: 1, index: 1000, width: 256 }, 'tile/1/x001/000'],
            [{ kind: 'tile', level: 0, index: 273, width: 112 }, 'tile/0/273.p/112'],
            [{ kind: 'tile', level: 2, index: 0, width: 1 }, 'tile/2/000.p/1'],
            [{ kind: 'entries', index: 273, width: 112 }, 'tile/entries/273.p/112'],
            [{ kind: 'entries', index: 123_456_789, width: 256 }, 'tile/entries/x123/x456/789'],
        ];
        for (const [tile, path] of cases) {
            expect(tilePath(tile)).toBe(path);
            expect(parseTilePath(path)).toEqual(tile);
        }
    });
    it('survive writing and reading', () => {
        const width = fc.integer({ min: 1, max: 256 });
        const tile = fc.oneof(fc.record({ kind: fc.constant('tile'), level: fc.nat(63), index: fc.maxSafeNat(), width }), fc.record({ kind: fc.constant('entries'), index: fc.maxSafeNat(), width }));
        fc.assert(fc.property(tile, (one) => {
            expect(parseTilePath(tilePath(one))).toEqual(one);
        }));
    });
    it('have one spelling only', () => {
        const bad = [
            '',
            'tile',
            'tile/0',
            'tile/0/',
            '/tile/0/000',
            'tile/0/0',
            'tile/0/00',
            'tile/0/0000',
            'tile/00/000',
            'tile/64/000',
            'tile/-1/000',
            'tile/0/x000/000',
            'tile/0/x000/001',
            'tile/0/001/000',
            'tile/0/x001',
            'tile/0/x001/x000',
            'tile/0/000.p',
            'tile/0/000.p/',
            'tile/0/000.p/0',
            'tile/0/000.p/256',
            'tile/0/000.p/01',
            'tile/0/000.p/1/',
            'tile/0/000/',
            'tile/entries/0',
            'tile/data/000',
            'tile/0/../000',
            'tile/0/000\n',
            'tile/8/0/000',
            `tile/0/${'x999/'.repeat(6)}999`,
            'tile/0/x999/x999/x999/x999/x999/999',
        ];
        for (const path of bad)
            expect([path, codeOf(() => parseTilePath(path))]).toEqual([path, 'TILE_MALFORMED']);
    });
    it('are refused for tiles that cannot exist', () => {
        for (const tile of [
            { level: 64 },
            { level: -1 },
            { index: -1 },
            { index: 2 ** 53 },
            { width: 0 },
            { width: 257 },
            { width: 1.5 },
        ]) {
            expect(codeOf(() => tilePath({ kind: 'tile', level: 0, index: 0, width: 256, ...tile }))).toBe('ARGUMENT_INVALID');
        }
    });
});
describe('tilesBetween', () => {
    it("lists the tiles of the specification's tree of 70,000 leaves", () => {
        const tiles = [...tilesBetween(0, 70_000)];
        expect(tiles.filter((tile) => tile.level === 0)).toHaveLength(274);
        expect(tiles.filter((tile) => tile.width < 256)).toEqual([
            { kind: 'tile', level: 0, index: 273, width: 112 },
            { kind: 'tile', level: 1, index: 1, width: 17 },
            { kind: 'tile', level: 2, index: 0, width: 1 },
        ]);
        expect([0, 1, 2, 3].map((level) => partialWidth(level, 70_000))).toEqual([112, 17, 1, 0]);
    });
    it('lists a full tile and no empty one at exact multiples', () => {
        expect([...tilesBetween(0, 0)]).toEqual([]);
        expect([...tilesBetween(0, 256)]).toEqual([
            { kind: 'tile', level: 0, index: 0, width: 256 },
            { kind: 'tile', level: 1, index: 0, width: 1 },
        ]);
        expect([...tilesBetween(0, 255)]).toEqual([{ kind: 'tile', level: 0, index: 0, width: 255 }]);
    });
    it('lists, from one size to the next, just what was not there', () => {
        const paths = (from, to) => [...tilesBetween(from, to)].map(tilePath);
        fc.assert(fc.property(fc.nat(70_000), fc.nat(2000), (size, more) => {
            const before = new Set(paths(0, size));
            expect(paths(0, size + more).filter((path) => !before.has(path))).toEqual(paths(size, size + more));
        }), { numRuns: 40 });
        expect(codeOf(() => paths(2, 1))).toBe('ARGUMENT_INVALID');
    });
});
const LEAVES = someLeaves(66_000);
/** Builds a tree of `size` leaves into a map from path to bytes. */
function build(size) {
    const tiles = new Map();
    const builder = new TileBuilder((tile, bytes) => tiles.set(tilePath(tile), bytes));
    for (const leaf of LEAVES.slice(0, size))
        builder.append(leaf);
    builder.writePartial();
    return { tiles, root: builder.root() };
}
function readerOf(tiles) {
    return (tile) => {
        const bytes = tiles.get(tilePath(tile));
        if (bytes === undefined)
            throw new Error(`${tilePath(tile)} was asked for and does not exist`);
        return bytes;
    };
}
describe('TileBuilder', () => {
    it('writes exactly the tiles of the tree, each with the hashes of the definition', () => {
        for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 700]) {
            const { tiles, root } = build(size);
            expect([...tiles.keys()].sort()).toEqual([...tilesBetween(0, size)].map(tilePath).sort());
            expect(root.equals(naiveRoot(LEAVES.slice(0, size)))).toBe(true);
            const node = nodesOf(LEAVES.slice(0, size));
            for (const { level, index, width } of tilesBetween(0, size)) {
                decodeTile(tiles.get(tilePath({ kind: 'tile', level, index, width })), width).forEach((hash, i) => {
                    expect(Buffer.compare(hash, node(8 * level, index * 256 + i))).toBe(0);
                });
            }
        }
    });
    it('writes the same tiles after being resumed at any size', () => {
        const whole = build(1400);
        for (const size of [0, 1, 255, 256, 257, 512, 1023, 1399, 1400]) {
            const { tiles } = build(size);
            const builder = TileBuilder.resume(size, readerOf(tiles), (tile, bytes) => tiles.set(tilePath(tile), bytes));
            for (const leaf of LEAVES.slice(size, 1400))
                builder.append(leaf);
            builder.writePartial();
            expect([builder.size, builder.root().equals(whole.root)]).toEqual([1400, true]);
            for (const [path, bytes] of whole.tiles)
                expect(tiles.get(path)?.equals(bytes)).toBe(true);
        }
    });
    it('hands out bytes that later leaves do not change', () => {
        const written = [];
        const builder = new TileBuilder((_tile, bytes) => written.push([bytes, bytes.toString('hex')]));
        for (const leaf of LEAVES.slice(0, 600)) {
            builder.append(leaf);
            if (builder.size % 100 === 0)
                builder.writePartial();
        }
        for (const [bytes, hex] of written)
            expect(bytes.toString('hex')).toBe(hex);
    });
});
describe('tileNodeReader', () => {
    it('gives the nodes from which every proof can be made', () => {
        for (const size of [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537]) {
            const { tiles, root } = build(size);
            const node = tileNodeReader(size, readerOf(tiles));
            expect(rangeRoot(0, size, node).equals(root)).toBe(true);
            for (const index of [0, Math.floor(size / 2), size - 1]) {
                checkInclusion(index, size, LEAVES[index], makeInclusionProof(index, size, node), root);
            }
        }
    });
    it('refuses tiles of a wrong length and nodes that the tree does not have', () => {
        const { tiles } = build(300);
        const node = tileNodeReader(300, readerOf(tiles));
        expect(codeOf(() => node(0, 300))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => node(3, 37))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => node(9, 0))).toBe('ARGUMENT_INVALID');
        const short = tileNodeReader(300, () => Buffer.alloc(31));
        expect(codeOf(() => short(0, 0))).toBe('TILE_MALFORMED');
    });
});
describe('entry bundles', () => {
    const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 256 });
    it('are lengths of two bytes, big-endian, each with its entry', () => {
        expect(encodeEntryBundle([Buffer.from('abc'), Buffer.alloc(0), Buffer.alloc(0x102, 1)])
            .subarray(0, 9)
            .toString('hex')).toBe('000361626300000102');
    });
    it('survive writing and reading', () => {
        fc.assert(fc.property(entries, (list) => {
            const bundle = encodeEntryBundle(list);
            expect(decodeEntryBundle(bundle, list.length).map((one) => Buffer.from(one))).toEqual(list.map((one) => Buffer.from(one)));
        }), { numRuns: 50 });
        const largest = Buffer.alloc(65_535, 1);
        expect(decodeEntryBundle(encodeEntryBundle([largest]), 1)[0]).toHaveLength(65_535);
    });
    it('are refused when cut anywhere, with bytes added, or with another number of entries', () => {
        fc.assert(fc.property(entries, fc.nat(), (list, cut) => {
            const bundle = encodeEntryBundle(list);
            expect(codeOf(() => decodeEntryBundle(bundle.subarray(0, cut % bundle.length), list.length))).toBe('TILE_MALFORMED');
            expect(codeOf(() => decodeEntryBundle(Buffer.concat([bundle, Buffer.of(0)]), list.length))).toBe('TILE_MALFORMED');
            expect(codeOf(() => decodeEntryBundle(bundle, list.length + 1))).toBe('TILE_MALFORMED');
            expect(codeOf(() => decodeEntryBundle(bundle, list.length - 1))).toBe('TILE_MALFORMED');
        }), { numRuns: 50 });
    });
    it('are refused for entries that do not fit', () => {
        expect(codeOf(() => encodeEntryBundle([Buffer.alloc(65_536)]))).toBe('ENTRY_TOO_LARGE');
        expect(codeOf(() => encodeEntryBundle([]))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => encodeEntryBundle(Array.from({ length: 257 }, () => Buffer.alloc(1))))).toBe('ARGUMENT_INVALID');
    });
});
