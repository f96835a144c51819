import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint, } from '../../../src/tlog/checkpoint.js';
import { cosign, cosignatureTime, cosignatureVerifier } from '../../../src/tlog/cosignature.js';
import { privateKeyFromSeed, rawPublicKey } from '../../../src/tlog/ed25519.js';
import { createSigner, ed25519Verifier, formatNote, openNote, parseNote, signNote } from '../../../src/tlog/note.js';
import { createVerifier } from '../../../src/tlog/verifier.js';
import { formatVkey, makeVerifierKey } from '../../../src/tlog/vkey.js';
import { codeOf } from './naive.js';
// The example of C2SP tlog-cosignature.
const EXAMPLE_TEXT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const EXAMPLE = `${EXAMPLE_TEXT}
— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`;
const ORIGIN = 'sealgate.dev/prod/0/0';
const log = createSigner('sealgate.dev/prod/0', Buffer.alloc(32, 1));
const logVerifier = ed25519Verifier(log.key);
const witnessKey = privateKeyFromSeed(Buffer.alloc(32, 2));
const witness = makeVerifierKey('witness.example', 'cosignature/v1', rawPublicKey(witnessKey));
const witnessVerifier = cosignatureVerifier(witness);
const checkpoint = { origin: ORIGIN, size: 5, root: Buffer.alloc(32, 7) };
/** `checkpoint`, signed by the log and cosigned at `time`. */
function cosigned(time) {
    const text = formatCheckpoint(checkpoint);
    return signNote(text, [log], [cosign(text, 'witness.example', witnessKey, time)]);
}
describe('checkpoints', () => {
    it('read as the example of the specification says', () => {
        const { text, signatures } = parseNote(EXAMPLE);
        expect(text).toBe(EXAMPLE_TEXT);
        const parsed = parseCheckpoint(text);
        expect(parsed).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163, extensions: [] });
        expect(formatCheckpoint(parsed)).toBe(text);
        expect(formatNote({ text, signatures })).toBe(EXAMPLE);
        // The specification's signed message has "time 1679315147".
        expect(cosignatureTime(signatures[1].signature)).toBe(1_679_315_147);
    });
    it('survive signing and opening', () => {
        const origin = fc.string({ minLength: 1 }).map((text) => text.replaceAll(/\p{Cc}/gu, '_'));
        fc.assert(fc.property(origin, fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.array(origin), (name, size, root, extensions) => {
            const opened = openCheckpoint(signCheckpoint({ origin: name, size, root, extensions }, [log]), {
                verifiers: [logVerifier],
                origin: name,
            });
            expect(opened).toMatchObject({
                origin: name,
                size,
                extensions,
                signedBy: [{ name: log.name, id: log.id }],
                cosignatures: [],
            });
            expect(Buffer.compare(opened.root, root)).toBe(0);
        }));
    });
    it('are refused when they are not exactly of the form', () => {
        const root = Buffer.alloc(32, 7).toString('base64');
        const cases = {
            empty: '',
            'two lines': 'origin\n5\n',
            'no newline at the end': `origin\n5\n${root}`,
            'empty origin': `\n5\n${root}\n`,
            'leading zero': `origin\n05\n${root}\n`,
            'plus sign': `origin\n+5\n${root}\n`,
            negative: `origin\n-5\n${root}\n`,
            fraction: `origin\n5.0\n${root}\n`,
            exponent: `origin\n5e3\n${root}\n`,
            hex: `origin\n0x5\n${root}\n`,
            'space around the size': `origin\n 5\n${root}\n`,
            'other digits': `origin\n٥\n${root}\n`,
            'empty size': `origin\n\n${root}\n`,
            'a size above 2^53−1': `origin\n9007199254740992\n${root}\n`,
            'a size that is Infinity': `origin\n${'9'.repeat(400)}\n${root}\n`,
            'a short root': `origin\n5\n${Buffer.alloc(31).toString('base64')}\n`,
            'a long root': `origin\n5\n${Buffer.alloc(33).toString('base64')}\n`,
            'root in hex': `origin\n5\n${Buffer.alloc(32).toString('hex')}\n`,
            'root without padding': `origin\n5\n${root.slice(0, -1)}\n`,
            'root with spare bits': `origin\n5\n${root.slice(0, -2)}d=\n`,
            'an empty extension line': `origin\n5\n${root}\n\n`,
            'an empty line between extensions': `origin\n5\n${root}\na\n\nb\n`,
        };
        for (const [name, text] of Object.entries(cases)) {
            expect([name, codeOf(() => parseCheckpoint(text))]).toEqual([name, 'CHECKPOINT_MALFORMED']);
        }
        expect(parseCheckpoint(`origin\n0\n${root}\none\ntwo\n`)).toMatchObject({ size: 0, extensions: ['one', 'two'] });
        expect(parseCheckpoint(`origin\n9007199254740991\n${root}\n`).size).toBe(Number.MAX_SAFE_INTEGER);
    });
    it('that are signed but malformed are refused', () => {
        const note = signNote('not a checkpoint\n', [log]);
        expect(codeOf(() => openCheckpoint(note, { verifiers: [logVerifier] }))).toBe('CHECKPOINT_MALFORMED');
    });
    it('of another log are refused, though the key is the same', () => {
        const note = signCheckpoint({ ...checkpoint, origin: 'sealgate.dev/prod/0/1' }, [log]);
        expect(codeOf(() => openCheckpoint(note, { verifiers: [logVerifier], origin: ORIGIN }))).toBe('ORIGIN_MISMATCH');
    });
    it('that cannot be written down are refused', () => {
        const bad = [
            { ...checkpoint, origin: '' },
            { ...checkpoint, origin: 'a\nb' },
            { ...checkpoint, origin: 'a\tb' },
            { ...checkpoint, origin: '\ud800' },
            { ...checkpoint, size: -1 },
            { ...checkpoint, size: 1.5 },
            { ...checkpoint, size: 2 ** 53 },
            { ...checkpoint, root: Buffer.alloc(31) },
            { ...checkpoint, extensions: [''] },
            { ...checkpoint, extensions: ['a\nb'] },
        ];
        for (const one of bad)
            expect(codeOf(() => formatCheckpoint(one))).toBe('ARGUMENT_INVALID');
    });
});
describe('cosignature/v1', () => {
    it('verifies and gives the time at which the witness saw the checkpoint', () => {
        const options = { verifiers: [logVerifier], witnesses: [witnessVerifier], origin: ORIGIN };
        const opened = openCheckpoint(cosigned(1_679_315_147), options);
        expect(opened.cosignatures).toEqual([{ name: 'witness.example', id: witness.id, time: 1_679_315_147 }]);
        expect(opened.signedBy.map((one) => one.name)).toEqual([log.name]);
        expect(createVerifier(formatVkey(witness)).id).toBe(witness.id);
    });
    it('counts once for each witness, with the first of its times', () => {
        const text = formatCheckpoint(checkpoint);
        const lines = [20, 10].map((time) => cosign(text, 'witness.example', witnessKey, time));
        const note = signNote(text, [log], lines);
        const opened = openCheckpoint(note, { verifiers: [logVerifier], witnesses: [witnessVerifier] });
        expect(opened.cosignatures.map((one) => one.time)).toEqual([20]);
    });
    it('has a time only when it has the length of one', () => {
        for (const length of [0, 8, 64, 71, 73])
            expect(cosignatureTime(Buffer.alloc(length))).toBeUndefined();
        expect(cosignatureTime(Buffer.alloc(72))).toBe(0);
    });
    it('is ignored when the witness is not known', () => {
        expect(openCheckpoint(cosigned(1), { verifiers: [logVerifier] }).cosignatures).toEqual([]);
    });
    it('does not replace the signature of the log', () => {
        const text = formatCheckpoint(checkpoint);
        const note = signNote(text, [], [cosign(text, 'witness.example', witnessKey, 1)]);
        const options = { verifiers: [logVerifier], witnesses: [witnessVerifier] };
        expect(codeOf(() => openCheckpoint(note, options))).toBe('NOTE_UNSIGNED');
    });
    it('covers the time and every line of the checkpoint, and makes the note invalid when it does not verify', () => {
        const text = formatCheckpoint(checkpoint);
        const good = cosign(text, 'witness.example', witnessKey, 1000);
        const bad = [];
        const later = Buffer.from(good.signature);
        later.writeBigUInt64BE(1001n);
        bad.push(later);
        bad.push(cosign(formatCheckpoint({ ...checkpoint, extensions: ['x'] }), 'witness.example', witnessKey, 1000).signature);
        bad.push(good.signature.subarray(1), Buffer.concat([good.signature, Buffer.of(0)]), good.signature.subarray(8), Buffer.alloc(1));
        const far = Buffer.from(good.signature);
        far.writeBigUInt64BE(2n ** 63n);
        bad.push(far);
        for (const signature of bad) {
            const note = signNote(text, [log], [{ ...good, signature }]);
            expect(codeOf(() => openCheckpoint(note, { verifiers: [logVerifier], witnesses: [witnessVerifier] }))).toBe('SIGNATURE_INVALID');
        }
    });
    it('has another key ID than a note signature by the same key, so that neither passes for the other', () => {
        const asNoteKey = makeVerifierKey('witness.example', 'ed25519', witness.publicKey);
        expect(asNoteKey.id).not.toBe(witness.id);
        expect(codeOf(() => openNote(cosigned(1), [ed25519Verifier(asNoteKey)]))).toBe('NOTE_UNSIGNED');
        // Forged under the other ID, the signature is over the wrong message.
        const [line] = parseNote(cosigned(1)).signatures;
        const forged = formatNote({
            text: formatCheckpoint(checkpoint),
            signatures: [{ name: 'witness.example', id: asNoteKey.id, signature: line.signature.subarray(8) }],
        });
        expect(codeOf(() => openNote(forged, [ed25519Verifier(asNoteKey)]))).toBe('SIGNATURE_INVALID');
    });
    it('is refused for a time that is none', () => {
        for (const time of [-1, 1.5, Number.NaN, 2 ** 53]) {
            expect(codeOf(() => cosign(EXAMPLE_TEXT, 'w', witnessKey, time))).toBe('ARGUMENT_INVALID');
        }
    });
});
