// c2sp.org/signed-note and c2sp.org/tlog-checkpoint: vkeys, and checkpoints that they sign.
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { CannotRun } from './finding.js';
import { sha256 } from './tree.js';
/** RFC 4648 section 4, canonical: what another encoder would have written. */
function fromBase64(text) {
    const bytes = Buffer.from(text, 'base64');
    return bytes.toString('base64') === text ? bytes : undefined;
}
export function parseVkey(text) {
    const [, name, idHex, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(text) ?? [];
    const bytes = fromBase64(encoded ?? '');
    if (name === undefined || idHex === undefined || bytes?.length !== 33 || bytes[0] !== 1) {
        throw new CannotRun('the key is not an Ed25519 vkey');
    }
    const id = sha256(Buffer.from(`${name}\n`), bytes).subarray(0, 4);
    if (id.toString('hex') !== idHex)
        throw new CannotRun('the vkey is altered: its key ID is of another key');
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(1).toString('base64url') };
    return { name, id, publicKey: createPublicKey({ key: jwk, format: 'jwk' }), vkey: text };
}
/** The text of a note that `key` signed; undefined when the note is well-formed and has no signature by it; else what is wrong. */
export function openNote(note, key) {
    let text;
    try {
        text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(note);
    }
    catch {
        return { wrong: 'is not UTF-8' };
    }
    const blank = text.lastIndexOf('\n\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids them
    if (blank < 0 || !text.endsWith('\n') || /[\0-\x09\x0b-\x1f]/.test(text))
        return { wrong: 'is not a signed note' };
    const body = text.slice(0, blank + 1);
    const lines = text.slice(blank + 2, -1).split('\n');
    let signed = false;
    for (const line of lines) {
        const [, name, encoded] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
        const signature = fromBase64(encoded ?? '');
        if (name === undefined || signature === undefined || signature.length < 5)
            return { wrong: 'has a malformed signature line' };
        if (name !== key.name || !signature.subarray(0, 4).equals(key.id))
            continue;
        if (!verifySignature(null, Buffer.from(body), key.publicKey, signature.subarray(4))) {
            return { wrong: 'has a signature of the key that is not good' };
        }
        signed = true;
    }
    return signed ? body : undefined;
}
/** A checkpoint that `key` signed; 'stranger' when the note is well-formed and has no signature by it; else what is wrong. */
export function openCheckpoint(note, key) {
    const body = openNote(note, key);
    if (body === undefined)
        return 'stranger'; // whose text is nobody's word
    if (typeof body === 'object')
        return body;
    const [origin, sizeText, rootText, ...rest] = body.slice(0, -1).split('\n');
    const root = fromBase64(rootText ?? '');
    const size = /^(0|[1-9][0-9]{0,15})$/.test(sizeText ?? '') ? Number(sizeText) : Number.NaN;
    if (!origin || !Number.isSafeInteger(size) || root?.length !== 32 || rest.length > 0) {
        return { wrong: 'is a note, but not of a checkpoint' };
    }
    return { origin, size, root };
}
