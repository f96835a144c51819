import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CompactRange } from '../../../src/tlog/compact-range.js';
import { emptyRoot, leafHash, nodeHash } from '../../../src/tlog/merkle.js';
import { CT_LEAVES, CT_ROOTS } from './vectors.js';
describe('RFC 6962 hashing', () => {
    it('hashes the empty tree to SHA-256 of nothing', () => {
        expect(emptyRoot().toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    });
    it('prefixes leaves with 0x00 and nodes with 0x01, so that one cannot pass for the other', () => {
        // Golden values of certificate-transparency's and Trillian's tests of the RFC 6962 hasher.
        expect(leafHash(Buffer.from('L123456')).toString('hex')).toBe('395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56');
        expect(leafHash(Buffer.alloc(0)).toString('hex')).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    });
    it('refuses hashes of another length than 32 bytes', () => {
        expect(() => nodeHash(Buffer.alloc(31), Buffer.alloc(32))).toThrow(/32 bytes, not 31/);
        expect(() => nodeHash(Buffer.alloc(32), Buffer.alloc(64))).toThrow(/32 bytes, not 64/);
        expect(() => new CompactRange().append(Buffer.alloc(31))).toThrow(/32 bytes, not 31/);
    });
    it('hashes entries of any size alike, on both sides of the fast path', () => {
        for (const size of [65_534, 65_535, 65_536, 200_000]) {
            const entry = Buffer.alloc(size, 7);
            const slow = nodeCrypto('sha256', Buffer.concat([Buffer.of(0), entry]));
            expect(leafHash(entry).equals(slow)).toBe(true);
        }
    });
    it('reaches the roots of the certificate-transparency test vectors at every size', () => {
        const range = new CompactRange();
        expect(range.root().toString('hex')).toBe(CT_ROOTS[0]);
        CT_LEAVES.forEach((leaf, i) => {
            range.append(leafHash(leaf));
            expect(range.size).toBe(i + 1);
            expect(range.root().toString('hex')).toBe(CT_ROOTS[i + 1]);
        });
    });
});
function nodeCrypto(algorithm, input) {
    return createHash(algorithm).update(input).digest();
}
