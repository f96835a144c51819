import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkConsistency, makeConsistencyProof } from '../../../src/tlog/consistency.js';
import { leafHash } from '../../../src/tlog/merkle.js';
import { rangeRoot } from '../../../src/tlog/subtree.js';
import { codeOf, naiveConsistency, naiveRoot, nodesOf, someLeaves, uniformNodes } from './naive.js';
import { CT_CONSISTENCY, CT_LEAVES, CT_ROOTS } from './vectors.js';
const LEAVES = someLeaves(300);
/** Two sizes, the first not larger, both above 0. */
const sizes = fc
    .integer({ min: 1, max: 300 })
    .chain((second) => fc.tuple(fc.integer({ min: 1, max: second }), fc.constant(second)));
describe('consistency proofs', () => {
    it('are those of the certificate-transparency test vectors', () => {
        const hashes = CT_LEAVES.map(leafHash);
        for (const [first, second, proof] of CT_CONSISTENCY) {
            const made = makeConsistencyProof(first, second, nodesOf(hashes));
            expect(made.map((hash) => hash.toString('hex'))).toEqual(proof);
            checkConsistency(first, Buffer.from(CT_ROOTS[first], 'hex'), second, Buffer.from(CT_ROOTS[second], 'hex'), made);
        }
    });
    it('are those of the recursive definition, and verify, between all small trees', () => {
        for (let second = 1; second <= 33; second++) {
            const leaves = LEAVES.slice(0, second);
            for (let first = 1; first <= second; first++) {
                const proof = makeConsistencyProof(first, second, nodesOf(leaves));
                expect(proof).toEqual(naiveConsistency(first, leaves));
                checkConsistency(first, naiveRoot(leaves.slice(0, first)), second, naiveRoot(leaves), proof);
            }
        }
    });
    it('verify whatever the sizes', () => {
        fc.assert(fc.property(sizes, ([first, second]) => {
            const proof = makeConsistencyProof(first, second, nodesOf(LEAVES.slice(0, second)));
            checkConsistency(first, naiveRoot(LEAVES.slice(0, first)), second, naiveRoot(LEAVES.slice(0, second)), proof);
        }), { numRuns: 60 });
    });
    it('do not verify once any bit of a root or of the proof is changed', () => {
        fc.assert(fc.property(sizes, fc.nat(), fc.nat(255), ([first, second], which, bit) => {
            const proof = makeConsistencyProof(first, second, nodesOf(LEAVES.slice(0, second)));
            const roots = [naiveRoot(LEAVES.slice(0, first)), naiveRoot(LEAVES.slice(0, second))];
            const parts = [...roots, ...proof];
            parts[which % parts.length][bit >> 3] ^= 1 << (bit & 7);
            expect(codeOf(() => checkConsistency(first, roots[0], second, roots[1], proof))).toBe('PROOF_INVALID');
        }), { numRuns: 100 });
    });
    it('do not verify between a tree and one in which an old leaf was changed', () => {
        fc.assert(fc.property(sizes, fc.nat(), ([first, second], which) => {
            const forged = LEAVES.slice(0, second);
            forged[which % first] = Buffer.alloc(32, 9);
            const proof = makeConsistencyProof(first, second, nodesOf(forged));
            const old = naiveRoot(LEAVES.slice(0, first));
            expect(codeOf(() => checkConsistency(first, old, second, naiveRoot(forged), proof))).toBe('PROOF_INVALID');
        }), { numRuns: 60 });
    });
    it('do not verify with hashes added or removed', () => {
        fc.assert(fc.property(sizes, ([first, second]) => {
            const proof = makeConsistencyProof(first, second, nodesOf(LEAVES.slice(0, second)));
            const roots = [naiveRoot(LEAVES.slice(0, first)), naiveRoot(LEAVES.slice(0, second))];
            const check = (changed) => () => checkConsistency(first, roots[0], second, roots[1], changed);
            expect(codeOf(check([...proof, roots[0]]))).toBe('PROOF_MALFORMED');
            if (first < second) {
                expect(codeOf(check(proof.slice(0, -1)))).toBe('PROOF_MALFORMED');
                expect(codeOf(check([]))).toBe('PROOF_MALFORMED');
            }
        }), { numRuns: 60 });
    });
    it('are empty from the empty tree and between equal sizes, where the roots alone decide', () => {
        const empty = naiveRoot([]);
        const root = naiveRoot(LEAVES.slice(0, 5));
        expect(makeConsistencyProof(0, 5, nodesOf(LEAVES))).toEqual([]);
        expect(makeConsistencyProof(5, 5, nodesOf(LEAVES))).toEqual([]);
        checkConsistency(0, empty, 5, root, []);
        checkConsistency(0, empty, 0, empty, []);
        checkConsistency(5, root, 5, root, []);
        expect(codeOf(() => checkConsistency(0, root, 5, root, []))).toBe('PROOF_INVALID');
        expect(codeOf(() => checkConsistency(0, empty, 0, root, []))).toBe('PROOF_INVALID');
        expect(codeOf(() => checkConsistency(0, root, 0, root, []))).toBe('PROOF_INVALID');
        expect(codeOf(() => checkConsistency(5, empty, 5, root, []))).toBe('PROOF_INVALID');
    });
    it('are exact beyond 32 bits', () => {
        const node = uniformNodes();
        for (const second of [2 ** 32 + 1, 2 ** 40 + 12_345, 2 ** 53 - 1]) {
            for (const first of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, second - 1]) {
                const proof = makeConsistencyProof(first, second, node);
                checkConsistency(first, rangeRoot(0, first, node), second, rangeRoot(0, second, node), proof);
                expect(codeOf(() => checkConsistency(first, rangeRoot(0, first - 1, node), second, rangeRoot(0, second, node), proof))).toBe('PROOF_INVALID');
            }
        }
    });
    it('are refused from a larger tree to a smaller one, and for sizes that are none', () => {
        const root = naiveRoot(LEAVES.slice(0, 3));
        for (const [first, second] of [
            [4, 3],
            [-1, 3],
            [1, 2 ** 53],
            [0.5, 3],
        ]) {
            expect(codeOf(() => makeConsistencyProof(first, second, nodesOf(LEAVES)))).toBe('ARGUMENT_INVALID');
            expect(codeOf(() => checkConsistency(first, root, second, root, []))).toBe('ARGUMENT_INVALID');
        }
        expect(codeOf(() => checkConsistency(2, root, 3, root, [Buffer.alloc(31)]))).toBe('PROOF_MALFORMED');
        expect(codeOf(() => checkConsistency(3, root, 4, root, [Buffer.alloc(31), Buffer.alloc(32)]))).toBe('PROOF_MALFORMED');
    });
});
