import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CompactRange } from '../../../src/tlog/compact-range.js';
import { nodeHash } from '../../../src/tlog/merkle.js';
import { foldHashes, rangeRoot, subtreesOf } from '../../../src/tlog/subtree.js';
import { codeOf, naiveRoot, nodesOf, someLeaves, uniformNodes } from './naive.js';
const LEAVES = someLeaves(700);
describe('CompactRange', () => {
    it('has the root of the recursive definition at every size', () => {
        const range = new CompactRange();
        for (let size = 0; size <= 300; size++) {
            expect(range.root().equals(naiveRoot(LEAVES.slice(0, size)))).toBe(true);
            range.append(LEAVES[size]);
        }
    });
    it('goes on from stored subtree hashes as if it had never stopped', () => {
        fc.assert(fc.property(fc.nat(600), fc.nat(100), (size, more) => {
            const node = nodesOf(LEAVES);
            const hashes = subtreesOf(0, size).map(({ level, index }) => node(level, index));
            const range = CompactRange.fromHashes(size, hashes);
            expect(range.root().equals(naiveRoot(LEAVES.slice(0, size)))).toBe(true);
            for (const leaf of LEAVES.slice(size, size + more))
                range.append(leaf);
            expect(range.root().equals(naiveRoot(LEAVES.slice(0, size + more)))).toBe(true);
            expect(CompactRange.fromHashes(range.size, range.hashes()).root().equals(range.root())).toBe(true);
        }), { numRuns: 50 });
    });
    it('tells of every inner node exactly once, with its hash, in the append that completes it', () => {
        const node = nodesOf(LEAVES);
        const range = new CompactRange();
        const seen = new Set();
        for (let i = 0; i < 512; i++) {
            range.append(LEAVES[i], (level, index, hash) => {
                expect((index + 1) * 2 ** level).toBe(i + 1);
                expect(hash.equals(node(level, index))).toBe(true);
                seen.add(`${level}/${index}`);
            });
        }
        expect(seen.size).toBe(511);
    });
    it('keeps hashes that were handed out as they were, whatever is appended later', () => {
        const range = new CompactRange();
        const kept = [];
        for (const leaf of LEAVES.slice(0, 64)) {
            range.append(leaf, (_level, _index, hash) => kept.push([hash, hash.toString('hex')]));
            for (const hash of [...range.hashes(), range.root()])
                kept.push([hash, hash.toString('hex')]);
        }
        for (const [hash, hex] of kept)
            expect(hash.toString('hex')).toBe(hex);
    });
    it('makes copies that do not share anything', () => {
        const range = new CompactRange();
        for (const leaf of LEAVES.slice(0, 5))
            range.append(leaf);
        const copy = range.clone();
        range.append(LEAVES[5]);
        expect([copy.size, range.size]).toEqual([5, 6]);
        expect(copy.root().equals(naiveRoot(LEAVES.slice(0, 5)))).toBe(true);
    });
    it('refuses stored hashes that cannot belong to the size, and leaves of a wrong length, unchanged', () => {
        expect(codeOf(() => CompactRange.fromHashes(3, LEAVES.slice(0, 1)))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => CompactRange.fromHashes(-1, []))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => CompactRange.fromHashes(1, [Buffer.alloc(31)]))).toBe('ARGUMENT_INVALID');
        const range = new CompactRange();
        expect(codeOf(() => range.append(Buffer.alloc(33)))).toBe('ARGUMENT_INVALID');
        expect(range.size).toBe(0);
    });
    it('is exact beyond 32 bits', () => {
        const node = uniformNodes();
        for (const size of [2 ** 32 - 1, 2 ** 32, 2 ** 40 + 2 ** 31 - 1, 2 ** 53 - 2]) {
            const range = CompactRange.fromHashes(size, subtreesOf(0, size).map(({ level, index }) => node(level, index)));
            let deepest = [0, 0];
            range.append(node(0, 0), (level, index) => {
                deepest = [level, index];
            });
            expect(range.size).toBe(size + 1);
            expect(range.hashes()).toHaveLength(subtreesOf(0, size + 1).length);
            expect(range.root().equals(rangeRoot(0, size + 1, node))).toBe(true);
            if (size === 2 ** 32 - 1)
                expect(deepest).toEqual([32, 0]);
        }
        const full = CompactRange.fromHashes(2 ** 53 - 1, subtreesOf(0, 2 ** 53 - 1).map(({ level, index }) => node(level, index)));
        expect(codeOf(() => full.append(node(0, 0)))).toBe('ARGUMENT_INVALID');
    });
});
describe('subtreesOf', () => {
    it('covers the range from left to right without gap or overlap, by complete subtrees', () => {
        fc.assert(fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
            const [begin, end] = a <= b ? [a, b] : [b, a];
            let at = begin;
            for (const { level, index } of subtreesOf(begin, end)) {
                expect(index * 2 ** level).toBe(at);
                at += 2 ** level;
            }
            expect(at).toBe(end);
        }));
    });
    it('has one subtree for each bit set in the size, for a prefix', () => {
        fc.assert(fc.property(fc.maxSafeNat(), (size) => {
            const ones = size.toString(2).replaceAll('0', '').length;
            expect(subtreesOf(0, size)).toHaveLength(ones);
        }));
    });
    it('refuses what is not a range', () => {
        expect(codeOf(() => subtreesOf(5, 4))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => subtreesOf(0, 2 ** 53))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => subtreesOf(0.5, 4))).toBe('ARGUMENT_INVALID');
    });
});
describe('foldHashes', () => {
    it('combines from the right', () => {
        const [a, b, c] = LEAVES;
        expect(foldHashes([a, b, c]).equals(nodeHash(a, nodeHash(b, c)))).toBe(true);
        expect(foldHashes([]).equals(naiveRoot([]))).toBe(true);
    });
});
