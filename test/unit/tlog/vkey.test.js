import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { privateKeyFromSeed, publicKeyFromRaw, rawPublicKey, seedOf, signEd25519, verifyEd25519, } from '../../../src/tlog/ed25519.js';
import { formatVkey, isKeyName, makeVerifierKey, parseVkey } from '../../../src/tlog/vkey.js';
import { codeOf } from './naive.js';
// Published keys: golang.org/x/mod/sumdb/note's example, the Go checksum database, a witness.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const SUMDB = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';
const WITNESS = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2';
describe('vkeys', () => {
    it('are read and written as others wrote them', () => {
        for (const text of [PETER, SUMDB, WITNESS])
            expect(formatVkey(parseVkey(text))).toBe(text);
        expect(parseVkey(SUMDB)).toMatchObject({ name: 'sum.golang.org', id: 0x033de0ae, type: 'ed25519' });
        expect(parseVkey(WITNESS)).toMatchObject({ name: 'remora.n621.de', id: 0xda77ade7, type: 'cosignature/v1' });
    });
    it('survive writing and reading, whatever the name', () => {
        const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter(isKeyName);
        fc.assert(fc.property(name, fc.constantFrom('ed25519', 'cosignature/v1'), fc.uint8Array({ minLength: 32, maxLength: 32 }), (n, type, raw) => {
            const key = makeVerifierKey(n, type, raw);
            const read = parseVkey(formatVkey(key));
            expect(read).toMatchObject({ name: n, type, id: key.id });
            expect(Buffer.compare(read.publicKey, raw)).toBe(0);
        }));
    });
    it('may end in the newline of a file', () => {
        expect(parseVkey(`${PETER}\n`).name).toBe('PeterNeumann');
    });
    it('are refused when any character was changed', () => {
        fc.assert(fc.property(fc.nat(PETER.length - 1), fc.constantFrom('A', 'z', '0', '+', '/', '=', '-', '\n'), (at, other) => {
            const text = PETER.slice(0, at) + other + PETER.slice(at + 1);
            fc.pre(text.toLowerCase() !== PETER.toLowerCase() && text.trim().length === PETER.length);
            expect(() => parseVkey(text)).toThrow();
        }), { numRuns: 300 });
    });
    it('that are something else are named as what they are', () => {
        const cases = [
            ['PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'KEY_IS_PRIVATE'],
            ['-----BEGIN PRIVATE KEY-----\nMC4CAQ…', 'KEY_IS_PRIVATE'],
            ['-----BEGIN EC PRIVATE KEY-----\nMC4CAQ…', 'KEY_IS_PRIVATE'],
            ['', 'KEY_MALFORMED'],
            ['PeterNeumann', 'KEY_MALFORMED'],
            ['PeterNeumann+c74f20a3', 'KEY_MALFORMED'],
            ['+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'KEY_MALFORMED'],
            ['Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'KEY_MALFORMED'],
            ['PeterNeumann+74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'KEY_MALFORMED'],
            ['PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'KEY_MALFORMED'],
            ['PeterNeumann+c74f20a3+', 'KEY_MALFORMED'],
            ['PeterNeumann+c74f20a3+ARpc2QcU', 'KEY_MALFORMED'],
            ['PeterNeumann+c74f20a3+BRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'KEY_UNSUPPORTED'],
            [PETER.replace('Peter', 'Petra'), 'KEY_MALFORMED'],
        ];
        for (const [text, code] of cases)
            expect([text, codeOf(() => parseVkey(text))]).toEqual([text, code]);
    });
    it('never appear in the message of an error that a private key caused', () => {
        const secret = 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
        for (const text of [`PRIVATE+KEY+PeterNeumann+c74f20a3+${secret}`, `KEY+PeterNeumann+c74f20a3+${secret}`, secret]) {
            expect(() => parseVkey(text)).toThrow(expect.not.objectContaining({ message: expect.stringContaining('AYEKFALVFGy') }));
        }
    });
});
describe('key names', () => {
    it('are not empty and have no Unicode spaces, no plus and nothing that a note could not hold', () => {
        for (const name of ['a', 'example.com/log', 'sealgate.dev/prod/0', 'ключ', '\u{1f511}'])
            expect(isKeyName(name)).toBe(true);
        for (const name of [
            '',
            'a b',
            'a+b',
            'a\tb',
            'a\n',
            '\u0085',
            'a\u00a0b',
            'a\u2003',
            '\u3000',
            'a\u0001',
            '\ud800',
        ]) {
            expect([name, isKeyName(name)]).toEqual([name, false]);
        }
    });
});
describe('Ed25519 keys', () => {
    it('are those of RFC 8032 §7.1, test 2', () => {
        const seed = Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex');
        const key = privateKeyFromSeed(seed);
        expect(rawPublicKey(key).toString('hex')).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
        expect(signEd25519(Buffer.of(0x72), key).toString('hex')).toBe('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00');
        expect(seedOf(key).equals(seed)).toBe(true);
    });
    it('go from Node to raw bytes and back', () => {
        const { privateKey, publicKey } = generateKeyPairSync('ed25519');
        expect(publicKeyFromRaw(rawPublicKey(publicKey)).equals(publicKey)).toBe(true);
        expect(privateKeyFromSeed(seedOf(privateKey)).equals(privateKey)).toBe(true);
        const signature = signEd25519(Buffer.from('text'), privateKey);
        expect(verifyEd25519(Buffer.from('text'), signature, publicKey)).toBe(true);
        expect(verifyEd25519(Buffer.from('Text'), signature, publicKey)).toBe(false);
        expect(verifyEd25519(Buffer.from('text'), signature.subarray(1), publicKey)).toBe(false);
        expect(verifyEd25519(Buffer.from('text'), Buffer.alloc(0), publicKey)).toBe(false);
    });
    it('of another kind or length are refused', () => {
        const rsa = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const x25519 = generateKeyPairSync('x25519');
        expect(codeOf(() => rawPublicKey(rsa.publicKey))).toBe('KEY_MALFORMED');
        expect(codeOf(() => seedOf(x25519.privateKey))).toBe('KEY_MALFORMED');
        expect(codeOf(() => seedOf(generateKeyPairSync('ed25519').publicKey))).toBe('KEY_MALFORMED');
        expect(codeOf(() => privateKeyFromSeed(Buffer.alloc(31)))).toBe('KEY_MALFORMED');
        expect(codeOf(() => publicKeyFromRaw(Buffer.alloc(33)))).toBe('KEY_MALFORMED');
        expect(createPrivateKey({ key: privateKeyFromSeed(Buffer.alloc(32)).export({ format: 'jwk' }), format: 'jwk' }).type).toBe('private');
    });
});
