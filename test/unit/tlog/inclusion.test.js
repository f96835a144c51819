import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkInclusion, inclusionProofLength, makeInclusionProof } from '../../../src/tlog/inclusion.js';
import { leafHash } from '../../../src/tlog/merkle.js';
import { rangeRoot } from '../../../src/tlog/subtree.js';
import { codeOf, naivePath, naiveRoot, nodesOf, someLeaves, uniformNodes } from './naive.js';
import { CT_INCLUSION, CT_LEAVES, CT_ROOTS } from './vectors.js';
const LEAVES = someLeaves(300);
/** A leaf and a tree that it is in. */
const place = fc.integer({ min: 1, max: 300 }).chain((size) => fc.tuple(fc.nat(size - 1), fc.constant(size)));
describe('inclusion proofs', () => {
    it('are those of the certificate-transparency test vectors', () => {
        const hashes = CT_LEAVES.map(leafHash);
        for (const [index, size, proof] of CT_INCLUSION) {
            const made = makeInclusionProof(index, size, nodesOf(hashes));
            expect(made.map((hash) => hash.toString('hex'))).toEqual(proof);
            checkInclusion(index, size, hashes[index], made, Buffer.from(CT_ROOTS[size], 'hex'));
        }
    });
    it('are those of the recursive definition, and verify, for every leaf of every small tree', () => {
        for (let size = 1; size <= 40; size++) {
            const leaves = LEAVES.slice(0, size);
            for (let index = 0; index < size; index++) {
                const proof = makeInclusionProof(index, size, nodesOf(leaves));
                expect(proof).toEqual(naivePath(index, leaves));
                checkInclusion(index, size, leaves[index], proof, naiveRoot(leaves));
            }
        }
    });
    it('verify whatever the tree, and have the length that was foretold', () => {
        fc.assert(fc.property(place, ([index, size]) => {
            const proof = makeInclusionProof(index, size, nodesOf(LEAVES.slice(0, size)));
            expect(proof).toHaveLength(inclusionProofLength(index, size));
            checkInclusion(index, size, LEAVES[index], proof, naiveRoot(LEAVES.slice(0, size)));
        }), { numRuns: 60 });
    });
    it('do not verify once any bit of leaf, proof or root is changed', () => {
        fc.assert(fc.property(place, fc.nat(), fc.nat(255), ([index, size], which, bit) => {
            const leaves = LEAVES.slice(0, size);
            const proof = makeInclusionProof(index, size, nodesOf(leaves));
            const parts = [Buffer.from(leaves[index]), ...proof, naiveRoot(leaves)];
            const changed = parts[which % parts.length];
            changed[bit >> 3] ^= 1 << (bit & 7);
            const [leaf, ...rest] = parts;
            const root = rest.pop();
            expect(codeOf(() => checkInclusion(index, size, leaf, rest, root))).toBe('PROOF_INVALID');
        }), { numRuns: 100 });
    });
    it('do not verify for another index, with hashes added, removed or swapped', () => {
        fc.assert(fc.property(place, fc.nat(299), ([index, size], other) => {
            const leaves = LEAVES.slice(0, size);
            const root = naiveRoot(leaves);
            const proof = makeInclusionProof(index, size, nodesOf(leaves));
            const leaf = leaves[index];
            if (other < size && other !== index)
                expect(() => checkInclusion(other, size, leaf, proof, root)).toThrow();
            expect(codeOf(() => checkInclusion(index, size, leaf, [...proof, leaf], root))).toBe('PROOF_MALFORMED');
            if (proof.length > 0) {
                expect(codeOf(() => checkInclusion(index, size, leaf, proof.slice(1), root))).toBe('PROOF_MALFORMED');
            }
            if (proof.length > 1) {
                const swapped = [proof[1], proof[0], ...proof.slice(2)];
                expect(codeOf(() => checkInclusion(index, size, leaf, swapped, root))).toBe('PROOF_INVALID');
            }
        }), { numRuns: 60 });
    });
    it('are exact beyond 32 bits', () => {
        const node = uniformNodes();
        const max = 2 ** 53 - 1;
        for (const size of [2 ** 32 + 1, 2 ** 33 - 1, 2 ** 40 + 12_345, max]) {
            const root = rangeRoot(0, size, node);
            for (const index of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, size - 2, size - 1]) {
                const proof = makeInclusionProof(index, size, node);
                checkInclusion(index, size, node(0, index), proof, root);
                proof[0] = Buffer.alloc(32);
                expect(codeOf(() => checkInclusion(index, size, node(0, index), proof, root))).toBe('PROOF_INVALID');
            }
        }
    });
    it('are refused for a leaf that the tree does not have', () => {
        const root = naiveRoot(LEAVES.slice(0, 4));
        for (const [index, size] of [
            [4, 4],
            [0, 0],
            [-1, 4],
            [1.5, 4],
            [0, 2 ** 53],
        ]) {
            expect(codeOf(() => makeInclusionProof(index, size, nodesOf(LEAVES)))).toBe('ARGUMENT_INVALID');
            expect(codeOf(() => checkInclusion(index, size, LEAVES[0], [], root))).toBe('ARGUMENT_INVALID');
        }
    });
    it('are refused when a hash is not 32 bytes long', () => {
        const leaves = LEAVES.slice(0, 2);
        const root = naiveRoot(leaves);
        expect(codeOf(() => checkInclusion(0, 2, leaves[0], [Buffer.alloc(33)], root))).toBe('PROOF_MALFORMED');
        expect(codeOf(() => checkInclusion(0, 2, Buffer.alloc(5), [leaves[1]], root))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => checkInclusion(0, 2, leaves[0], [leaves[1]], Buffer.alloc(0)))).toBe('ARGUMENT_INVALID');
    });
});
