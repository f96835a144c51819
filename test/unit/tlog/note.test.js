import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSigner, ed25519Verifier, formatNote, MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, openNote, parseNote, signNote, } from '../../../src/tlog/note.js';
import { createVerifier } from '../../../src/tlog/verifier.js';
import { formatVkey, isKeyName } from '../../../src/tlog/vkey.js';
import { codeOf } from './naive.js';
// The example of golang.org/x/mod/sumdb/note's package documentation, and its tests' second key.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_SEED = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE = '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const NOTE = `${TEXT}\n${PETER_LINE}`;
const alice = createSigner('alice.example', Buffer.alloc(32, 1));
const bob = createSigner('bob.example', Buffer.alloc(32, 2));
const aliceVerifier = ed25519Verifier(alice.key);
const bobVerifier = ed25519Verifier(bob.key);
/** A line that looks like a signature by `name`. */
const line = (name, payload = Buffer.alloc(68, 3)) => `— ${name} ${payload.toString('base64')}\n`;
describe('signed notes', () => {
    it('are byte for byte those of golang.org/x/mod/sumdb/note', () => {
        const signer = createSigner('PeterNeumann', PETER_SEED);
        expect(formatVkey(signer.key)).toBe(PETER);
        expect(signNote(TEXT, [signer])).toBe(NOTE);
        expect(openNote(NOTE, [createVerifier(PETER)])).toMatchObject({ text: TEXT, unverified: [] });
    });
    it('open as bytes and as a string alike', () => {
        const opened = openNote(Buffer.from(NOTE), [createVerifier(PETER)]);
        expect(opened.verified.map((one) => one.name)).toEqual(['PeterNeumann']);
    });
    it('survive signing and opening, whatever the text', () => {
        fc.assert(fc.property(fc.string({ unit: 'binary' }), (raw) => {
            const text = `${raw.replaceAll(/\p{Cc}/gu, '\n')}\n`;
            const opened = openNote(signNote(text, [alice, bob]), [bobVerifier, aliceVerifier]);
            expect(opened.text).toBe(text);
            expect(opened.verified.map((one) => one.name)).toEqual(['alice.example', 'bob.example']);
        }));
    });
    it('do not open once any byte is changed', () => {
        const note = Buffer.from(signNote('text\n', [alice]));
        fc.assert(fc.property(fc.nat(note.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
            const changed = Buffer.from(note);
            changed[at] ^= flip;
            expect(() => openNote(changed, [aliceVerifier])).toThrow();
        }), { numRuns: 500 });
    });
    it('keep blank lines in the text, which ends at the last one', () => {
        const text = 'first\n\nsecond\n\n\nthird\n\n';
        expect(openNote(signNote(text, [alice]), [aliceVerifier]).text).toBe(text);
    });
    it('keep a byte order mark, which is part of what was signed', () => {
        const note = signNote('\ufefftext\n', [alice]);
        expect(openNote(Buffer.from(note), [aliceVerifier]).text).toBe('\ufefftext\n');
    });
    it('open when one of several known keys has signed, and tell the others apart', () => {
        const opened = openNote(signNote('text\n', [alice, bob]), [bobVerifier]);
        expect(opened.verified.map((one) => one.name)).toEqual(['bob.example']);
        expect(opened.unverified.map((one) => one.name)).toEqual(['alice.example']);
    });
    it('ignore signatures by unknown keys, also those that share a name or an ID with a known key', () => {
        const sameName = createSigner('alice.example', Buffer.alloc(32, 9));
        const { signatures } = parseNote(signNote('text\n', [alice]));
        const sameId = { ...signatures[0], name: 'mallory.example' };
        const note = formatNote({ text: 'text\n', signatures: [sameId, ...signatures] });
        const withImpostor = signNote('text\n', [sameName], parseNote(note).signatures);
        const opened = openNote(withImpostor, [aliceVerifier]);
        expect(opened.verified).toHaveLength(1);
        expect(opened.unverified.map((one) => one.name)).toEqual(['mallory.example', 'alice.example']);
    });
    it('are refused as a whole when a known key has a signature that does not verify', () => {
        const [good] = parseNote(signNote('text\n', [alice])).signatures;
        const [other] = parseNote(signNote('other text\n', [alice])).signatures;
        const [bobs] = parseNote(signNote('text\n', [bob])).signatures;
        const open = (...signatures) => () => openNote(formatNote({ text: 'text\n', signatures: signatures }), [
            aliceVerifier,
            bobVerifier,
        ]);
        expect(codeOf(open(other))).toBe('SIGNATURE_INVALID');
        expect(codeOf(open(bobs, other))).toBe('SIGNATURE_INVALID');
        // A second line by the same key is checked too, unlike in the Go implementation.
        expect(codeOf(open(good, other))).toBe('SIGNATURE_INVALID');
        expect(open(good, good, bobs)().verified).toHaveLength(2);
    });
    it('are refused when no known key has signed, naming the keys that did', () => {
        const note = signNote('text\n', [alice]);
        expect(codeOf(() => openNote(note, []))).toBe('NOTE_UNSIGNED');
        expect(codeOf(() => openNote(note, [bobVerifier]))).toBe('NOTE_UNSIGNED');
        expect(() => openNote(note, [bobVerifier])).toThrow(/alice\.example\+[0-9a-f]{8}/);
    });
    it('cannot be opened with two keys that have the same name and ID', () => {
        expect(codeOf(() => openNote(NOTE, [createVerifier(PETER), createVerifier(PETER)]))).toBe('KEY_AMBIGUOUS');
    });
    it('are refused when they are not exactly of the form', () => {
        const cases = {
            empty: '',
            'no blank line': `text\n${line('a')}`,
            'no signature': 'text\n\n',
            'text alone': 'text\n',
            'no newline at the end': NOTE.slice(0, -1),
            'a blank line at the end': `${NOTE}\n`,
            'a hyphen for the em dash': NOTE.replace('—', '-'),
            'no space behind the em dash': NOTE.replace('— ', '—'),
            'no key name': 'text\n\n—  AAAAAAAA\n',
            'plus in the key name': `text\n\n${line('a+b')}`,
            'no-break space in the key name': `text\n\n${line('a\u00a0b')}`,
            'no signature behind the name': 'text\n\n— a\n',
            'empty signature': 'text\n\n— a \n',
            'signature with nothing behind the key ID': `text\n\n${line('a', Buffer.alloc(4))}`,
            'base64 without padding': NOTE.replace('AM=\n', 'AM\n'),
            'base64 with spare bits': NOTE.replace('AM=\n', 'AN=\n'),
            'URL-safe base64': NOTE.replace('x08go/', 'x08go_'),
            'two spaces': NOTE.replace('PeterNeumann x', 'PeterNeumann  x'),
            'something behind the signature': NOTE.replace('AM=\n', 'AM= \n'),
            'carriage returns': NOTE.replaceAll('\n', '\r\n'),
            tab: `te\txt\n\n${PETER_LINE}`,
            nul: `te\0xt\n\n${PETER_LINE}`,
            'not UTF-8': Buffer.concat([Buffer.of(0xff, 0x0a, 0x0a), Buffer.from(PETER_LINE)]),
            'a lone surrogate': `\ud800\n\n${PETER_LINE}`,
            'a line of text among the signatures': `text\n\n${line('a')}text\n${line('b')}`,
        };
        for (const [name, note] of Object.entries(cases)) {
            expect([name, codeOf(() => parseNote(note))]).toEqual([name, 'NOTE_MALFORMED']);
        }
    });
    it('have limits of size and of signatures', () => {
        const lines = (count) => Array.from({ length: count }, (_, i) => line(`key${i}`)).join('');
        expect(parseNote(`text\n\n${lines(MAX_NOTE_SIGNATURES)}`).signatures).toHaveLength(MAX_NOTE_SIGNATURES);
        expect(codeOf(() => parseNote(`text\n\n${lines(MAX_NOTE_SIGNATURES + 1)}`))).toBe('NOTE_TOO_LARGE');
        const fitting = `${'x'.repeat(MAX_NOTE_BYTES - 2 - Buffer.byteLength(line('a')))}\n\n${line('a')}`;
        expect(parseNote(fitting).signatures).toHaveLength(1);
        expect(codeOf(() => parseNote(`x${fitting}`))).toBe('NOTE_TOO_LARGE');
        expect(codeOf(() => parseNote(Buffer.from(`é${fitting.slice(1)}`)))).toBe('NOTE_TOO_LARGE');
        expect(codeOf(() => parseNote(`é${fitting.slice(1)}`))).toBe('NOTE_TOO_LARGE');
    });
    it('never make the parser fail with anything but its own error', () => {
        const piece = fc.constantFrom('\n', '— ', ' ', '+', 'a', 'AAAAAAAA', '=', '\n\n', 'x08go/ZJkuBS', '\u00a0');
        fc.assert(fc.property(fc.oneof(fc.array(piece).map((parts) => parts.join('')), fc.uint8Array()), (note) => {
            try {
                const parsed = parseNote(note);
                expect(formatNote(parsed)).toBe(typeof note === 'string' ? note : Buffer.from(note).toString());
            }
            catch (error) {
                expect(error.code).toBe('NOTE_MALFORMED');
            }
        }), { numRuns: 1000 });
    });
});
describe('signing', () => {
    it('keeps the signatures of others and replaces its own', () => {
        const first = parseNote(signNote('text\n', [alice, bob]));
        const stale = first.signatures.map((one) => one.name === 'bob.example' ? { ...one, signature: Buffer.alloc(64) } : one);
        expect(signNote('text\n', [bob], stale)).toBe(signNote('text\n', [alice, bob]));
    });
    it('refuses texts and names that no note can have', () => {
        for (const text of ['', 'no newline', 'nul\0\n', 'tab\t\n', '\ud800\n']) {
            expect([text, codeOf(() => signNote(text, [alice]))]).toEqual([text, 'NOTE_MALFORMED']);
        }
        expect(codeOf(() => signNote('text\n', []))).toBe('NOTE_MALFORMED');
        for (const name of ['', 'a b', 'a+b'])
            expect(codeOf(() => createSigner(name, Buffer.alloc(32)))).toBe('KEY_MALFORMED');
        const stranger = { name: 'a b', id: 1, signature: Buffer.alloc(64) };
        expect(codeOf(() => formatNote({ text: 'text\n', signatures: [stranger] }))).toBe('NOTE_MALFORMED');
        expect(isKeyName('alice.example')).toBe(true);
    });
});
