import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../../src/tlog/checkpoint.js';
import { makeInclusionProof } from '../../../src/tlog/inclusion.js';
import { createSigner, ed25519Verifier } from '../../../src/tlog/note.js';
import { formatTlogProof, parseTlogProof, verifyTlogProof } from '../../../src/tlog/tlog-proof.js';
import { codeOf, naiveRoot, nodesOf, someLeaves } from './naive.js';
const ORIGIN = 'sealgate.dev/prod/0/0';
const LEAVES = someLeaves(100);
const log = createSigner('sealgate.dev/prod/0', Buffer.alloc(32, 1));
const options = { verifiers: [ed25519Verifier(log.key)], origin: ORIGIN };
function proofOf(index, size, extra) {
    const leaves = LEAVES.slice(0, size);
    return formatTlogProof({
        ...(extra === undefined ? {} : { extra }),
        index,
        hashes: makeInclusionProof(index, size, nodesOf(leaves)),
        checkpoint: signCheckpoint({ origin: ORIGIN, size, root: naiveRoot(leaves) }, [log]),
    });
}
const place = fc.integer({ min: 1, max: 100 }).chain((size) => fc.tuple(fc.nat(size - 1), fc.constant(size)));
describe('tlog-proof files', () => {
    it('have the lines of the specification', () => {
        const text = proofOf(1, 3, Buffer.from('hello'));
        expect(text.split('\n').slice(0, 6)).toEqual([
            'c2sp.org/tlog-proof@v1',
            'extra aGVsbG8=',
            'index 1',
            LEAVES[0].toString('base64'),
            LEAVES[2].toString('base64'),
            '',
        ]);
        expect(text.split('\n').slice(6, 8)).toEqual([ORIGIN, '3']);
        expect(proofOf(0, 1).split('\n').slice(0, 4)).toEqual(['c2sp.org/tlog-proof@v1', 'index 0', '', ORIGIN]);
    });
    it('verify offline with the key of the log, and only for their own leaf', () => {
        fc.assert(fc.property(place, fc.nat(99), ([index, size], other) => {
            const text = proofOf(index, size, Buffer.from('x'));
            const { proof, checkpoint } = verifyTlogProof(text, LEAVES[index], options);
            expect([proof.index, checkpoint.size, checkpoint.origin]).toEqual([index, size, ORIGIN]);
            expect(verifyTlogProof(Buffer.from(text), LEAVES[index], options).proof.extra?.toString()).toBe('x');
            if (other !== index)
                expect(codeOf(() => verifyTlogProof(text, LEAVES[other], options))).toBe('PROOF_INVALID');
        }), { numRuns: 50 });
    });
    it('do not verify once any byte is changed', () => {
        const text = Buffer.from(proofOf(40, 100));
        fc.assert(fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
            const changed = Buffer.from(text);
            changed[at] ^= flip;
            expect(() => verifyTlogProof(changed, LEAVES[40], options)).toThrow(expect.objectContaining({ name: 'TlogError' }));
        }), { numRuns: 500 });
    });
    it('survive writing and reading', () => {
        const text = proofOf(40, 100, Buffer.from('extra'));
        expect(formatTlogProof(parseTlogProof(text))).toBe(text);
    });
    it('of another log, by another key, or for an entry beyond the checkpoint are refused', () => {
        const text = proofOf(3, 10);
        const stranger = ed25519Verifier(createSigner(log.name, Buffer.alloc(32, 5)).key);
        expect(codeOf(() => verifyTlogProof(text, LEAVES[3], { ...options, origin: 'sealgate.dev/prod/1/0' }))).toBe('ORIGIN_MISMATCH');
        expect(codeOf(() => verifyTlogProof(text, LEAVES[3], { verifiers: [stranger] }))).toBe('NOTE_UNSIGNED');
        expect(codeOf(() => verifyTlogProof(text.replace('index 3', 'index 10'), LEAVES[3], options))).toBe('PROOF_INVALID');
        expect(codeOf(() => verifyTlogProof(text.replace('index 3', 'index 4'), LEAVES[3], options))).toBe('PROOF_INVALID');
    });
    it('are refused when they are not exactly of the form', () => {
        const good = proofOf(40, 100, Buffer.from('extra'));
        const hash = LEAVES[0].toString('base64');
        const cases = {
            empty: '',
            'another version': good.replace('@v1', '@v2'),
            'a space behind the header': good.replace('@v1', '@v1 '),
            'a note alone': good.slice(good.indexOf('\n\n') + 2),
            'no index': good.replace(/index 40\n/, ''),
            'index before extra': good.replace(/(extra .*\n)(index 40\n)/, '$2$1'),
            'two extra lines': good.replace(/(extra .*\n)/, '$1$1'),
            'extra that is not base64': good.replace(/extra .*\n/, 'extra hello\n'),
            'a leading zero': good.replace('index 40', 'index 040'),
            'a negative index': good.replace('index 40', 'index -40'),
            'an index above 2^53−1': good.replace('index 40', 'index 9007199254740992'),
            'a hash that is short': good.replace('index 40\n', `index 40\n${Buffer.alloc(31).toString('base64')}\n`),
            'a hash in hex': good.replace('index 40\n', `index 40\n${'00'.repeat(32)}\n`),
            'too many hashes': good.replace('index 40\n', `index 40\n${`${hash}\n`.repeat(54)}`),
            'carriage returns': good.replaceAll('\n', '\r\n'),
            'no blank line': 'c2sp.org/tlog-proof@v1\nindex 0\n',
            'not UTF-8': Buffer.of(0xff, 0xfe),
            'too large': `${good}${'x'.repeat(2_000_000)}`,
        };
        for (const [name, text] of Object.entries(cases)) {
            expect([name, codeOf(() => parseTlogProof(text))]).toEqual([name, 'PROOF_MALFORMED']);
        }
        const longer = good.replace('index 40\n', `index 40\n${hash}\n`);
        expect(codeOf(() => verifyTlogProof(longer, LEAVES[40], options))).toBe('PROOF_MALFORMED');
    });
    it('may carry an extra line with nothing in it, which others write', () => {
        const text = proofOf(0, 1).replace('index', 'extra \nindex');
        expect(verifyTlogProof(text, LEAVES[0], options).proof.extra).toHaveLength(0);
        expect(codeOf(() => formatTlogProof(parseTlogProof(text)))).toBe('ARGUMENT_INVALID');
    });
    it('that cannot be written are refused', () => {
        expect(codeOf(() => formatTlogProof({ index: -1, hashes: [], checkpoint: '' }))).toBe('ARGUMENT_INVALID');
        expect(codeOf(() => formatTlogProof({ index: 0, hashes: [Buffer.alloc(31)], checkpoint: '' }))).toBe('ARGUMENT_INVALID');
    });
});
