// C2SP signed notes: text, a blank line, one or more signature lines. What is parsed here comes from files and buckets
// that an attacker may have written: parse defensively.
import type { KeyObject } from 'node:crypto';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { privateKeyFromSeed, publicKeyFromRaw, rawPublicKey, signEd25519, verifyEd25519 } from './ed25519.ts';
import { TlogError } from './errors.ts';
import { decodeText, hasControlCharacters } from './text.ts';
import { formatKeyId, isKeyName, makeVerifierKey, type VerifierKey } from './vkey.ts';

/** The limits of golang.org/x/mod/sumdb/note. C2SP signed-note, "Format", asks for at least 16 signatures. */
export const MAX_NOTE_BYTES = 1_000_000;
export const MAX_NOTE_SIGNATURES = 100;

/** Em dash and space: how a signature line begins. */
const SIGNATURE_PREFIX = '\u2014 ';
const KEY_ID_BYTES = 4;

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** Key ID, unsigned 32 bits. */
  readonly id: number;
  /** What follows the key ID; its form depends on the signature type. */
  readonly signature: Uint8Array;
}

/** A note whose form is right and whose signatures nobody has checked: its text is not to be trusted. */
export interface ParsedNote {
  /** With its final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A note that at least one known key has signed. */
export interface OpenedNote {
  readonly text: string;
  /** Signatures that verified, at most one for each known key, in the order of the note. */
  readonly verified: readonly NoteSignature[];
  /** Signatures by keys that are not known. */
  readonly unverified: readonly NoteSignature[];
}

export interface NoteSigner {
  readonly name: string;
  readonly id: number;
  /** Returns what follows the key ID on the signature line. */
  sign(text: Uint8Array): Uint8Array;
}

export interface NoteVerifier {
  readonly name: string;
  readonly id: number;
  verify(text: Uint8Array, signature: Uint8Array): boolean;
}

/** A signer of Ed25519 notes (type 0x01), from a private KeyObject or a raw 32-byte seed, and its verifier key. */
export function createSigner(name: string, privateKey: KeyObject | Uint8Array): NoteSigner & { key: VerifierKey } {
  const signing = privateKey instanceof Uint8Array ? privateKeyFromSeed(privateKey) : privateKey;
  const key = makeVerifierKey(name, 'ed25519', rawPublicKey(signing));
  return { name, id: key.id, key, sign: (text) => signEd25519(text, signing) };
}

/** A verifier of Ed25519 notes (type 0x01). For a vkey of any type: createVerifier in verifier.ts. */
export function ed25519Verifier(key: VerifierKey): NoteVerifier {
  const publicKey = publicKeyFromRaw(key.publicKey);
  return {
    name: key.name,
    id: key.id,
    verify: (text, signature) => verifyEd25519(text, signature, publicKey),
  };
}

/**
 * Signs `text`, which ends in a newline, and returns the whole note. `existing` signatures of the same text stay in
 * front of the new ones, except those that the signers here replace. Throws NOTE_MALFORMED when the text cannot be that
 * of a note.
 */
export function signNote(
  text: string,
  signers: readonly NoteSigner[],
  existing: readonly NoteSignature[] = [],
): string {
  requireNoteText(text);
  const bytes = Buffer.from(text, 'utf8');
  const kept = existing.filter((old) => !signers.some((signer) => sameKey(signer, old)));
  const made = signers.map((signer) => ({ name: signer.name, id: signer.id, signature: signer.sign(bytes) }));
  return formatNote({ text, signatures: [...kept, ...made] });
}

/** Writes a note down. Throws NOTE_MALFORMED for a text or signatures that no note can have. */
export function formatNote(note: ParsedNote): string {
  requireNoteText(note.text);
  if (note.signatures.length === 0) throw new TlogError('NOTE_MALFORMED', 'a note has at least one signature');
  const lines = note.signatures.map(({ name, id, signature }) => {
    if (!isKeyName(name)) throw new TlogError('NOTE_MALFORMED', `not a key name: ${JSON.stringify(name)}`);
    const payload = Buffer.alloc(KEY_ID_BYTES + signature.length);
    payload.writeUInt32BE(id, 0);
    payload.set(signature, KEY_ID_BYTES);
    return `${SIGNATURE_PREFIX}${name} ${encodeBase64(payload)}\n`;
  });
  return `${note.text}\n${lines.join('')}`;
}

/** Takes a note apart without checking any signature. Throws NOTE_MALFORMED, NOTE_TOO_LARGE. */
export function parseNote(note: string | Uint8Array): ParsedNote {
  // A string's UTF-8 is at least as long as the string: a huge one is refused before it is walked through.
  if (note.length > MAX_NOTE_BYTES || Buffer.byteLength(note) > MAX_NOTE_BYTES) {
    throw new TlogError('NOTE_TOO_LARGE', `the note is larger than ${MAX_NOTE_BYTES} bytes`);
  }
  const whole = decodeText(note);
  if (whole === undefined) throw new TlogError('NOTE_MALFORMED', 'the note is not UTF-8');
  if (hasControlCharacters(whole)) throw new TlogError('NOTE_MALFORMED', 'the note holds control characters');
  // "the text is separated from the signatures by the last empty line in the note"
  const blank = whole.lastIndexOf('\n\n');
  if (blank < 0) throw new TlogError('NOTE_MALFORMED', 'the note has no blank line between text and signatures');
  const block = whole.slice(blank + 2);
  if (block === '') throw new TlogError('NOTE_MALFORMED', 'the note has no signature line after its last blank line');
  if (!block.endsWith('\n')) throw new TlogError('NOTE_MALFORMED', 'the last signature line does not end in a newline');
  const lines = block.slice(0, -1).split('\n');
  if (lines.length > MAX_NOTE_SIGNATURES) {
    throw new TlogError(
      'NOTE_TOO_LARGE',
      `the note has ${lines.length} signatures; at most ${MAX_NOTE_SIGNATURES} are read`,
    );
  }
  return { text: whole.slice(0, blank + 1), signatures: lines.map(parseSignatureLine) };
}

/**
 * Checks a note against known keys: signatures by other keys are ignored, one by a known key that does not verify makes
 * the whole note invalid (C2SP signed-note, "Signatures"; every line is checked, also the second by one key). Throws
 * NOTE_MALFORMED, NOTE_TOO_LARGE, SIGNATURE_INVALID, NOTE_UNSIGNED, or KEY_AMBIGUOUS when two verifiers share name and ID.
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedNote {
  const known = new Map<string, NoteVerifier>();
  for (const verifier of verifiers) {
    const other = known.get(keyLabel(verifier));
    if (other !== undefined && other !== verifier) {
      throw new TlogError('KEY_AMBIGUOUS', `key ${keyLabel(verifier)} is given twice`);
    }
    known.set(keyLabel(verifier), verifier);
  }
  const { text, signatures } = parseNote(note);
  const bytes = Buffer.from(text, 'utf8');
  const verified = new Map<string, NoteSignature>();
  const unverified: NoteSignature[] = [];
  for (const signature of signatures) {
    const label = keyLabel(signature);
    const verifier = known.get(label);
    if (verifier === undefined) {
      unverified.push(signature);
    } else if (!verifier.verify(bytes, signature.signature)) {
      throw new TlogError(
        'SIGNATURE_INVALID',
        `the signature by key ${label} does not verify: the note or the signature was changed`,
      );
    } else if (!verified.has(label)) {
      verified.set(label, signature);
    }
  }
  if (verified.size === 0) {
    const found = signatures.map(keyLabel).join(', ');
    throw new TlogError(
      'NOTE_UNSIGNED',
      `no known key (${[...known.keys()].join(', ') || 'none given'}) signed the note; its signatures: ${found}`,
    );
  }
  return { text, verified: [...verified.values()], unverified };
}

/** Whether two stand for the same key: name and key ID together identify one. */
export function sameKey(a: { name: string; id: number }, b: { name: string; id: number }): boolean {
  return a.name === b.name && a.id === b.id;
}

/** `<name>+<key ID>`: how a key is called in messages. */
export function keyLabel(key: { readonly name: string; readonly id: number }): string {
  return `${key.name}+${formatKeyId(key.id)}`;
}

function requireNoteText(text: string): void {
  if (!text.endsWith('\n')) throw new TlogError('NOTE_MALFORMED', 'the text of a note ends in a newline');
  if (!text.isWellFormed() || hasControlCharacters(text)) {
    throw new TlogError('NOTE_MALFORMED', 'the text of a note has neither control characters nor lone surrogates');
  }
}

function parseSignatureLine(line: string, index: number): NoteSignature {
  const malformed = (why: string): TlogError => new TlogError('NOTE_MALFORMED', `signature line ${index + 1} ${why}`);
  if (!line.startsWith(SIGNATURE_PREFIX)) throw malformed('does not begin with an em dash and a space');
  const space = line.indexOf(' ', SIGNATURE_PREFIX.length);
  if (space < 0) throw malformed('has no space between key name and signature');
  const name = line.slice(SIGNATURE_PREFIX.length, space);
  if (!isKeyName(name)) throw malformed('has a key name that is not allowed');
  const payload = decodeBase64(line.slice(space + 1));
  if (payload === undefined || payload.length <= KEY_ID_BYTES)
    throw malformed('has no base64 of a key ID and a signature');
  return { name, id: payload.readUInt32BE(0), signature: payload.subarray(KEY_ID_BYTES) };
}
