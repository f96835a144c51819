// Verifier keys as one line of text: `<name>+<key ID, 8 hex digits>+<base64(signature type ‖ public key)>`
// (C2SP signed-note, "Verifier keys").
import { createHash } from 'node:crypto';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { TlogError } from './errors.ts';
import { hasControlCharacters } from './text.ts';

/** C2SP signed-note, "Signature types": 0x01 Ed25519 notes, 0x04 timestamped Ed25519 cosignatures of checkpoints. */
export const SIGNATURE_TYPES = { ed25519: 0x01, 'cosignature/v1': 0x04 } as const;

export type SignatureType = keyof typeof SIGNATURE_TYPES;

/** A verifier key. `id` is always the one computed from the rest. */
export interface VerifierKey {
  readonly name: string;
  /** Unsigned 32 bits. */
  readonly id: number;
  readonly type: SignatureType;
  /** 32 raw bytes. */
  readonly publicKey: Uint8Array;
}

const PUBLIC_KEY_BYTES = 32;
/** How golang.org/x/mod/sumdb/note writes signing keys: recognised only to refuse them with a clear message. */
const PRIVATE_PREFIX = 'PRIVATE+KEY+';

/**
 * Whether `name` may name a key: not empty, no Unicode spaces, no plus (C2SP signed-note, "Format"). Control characters
 * and lone surrogates are refused as well, because no note could hold them.
 */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name) && !hasControlCharacters(name);
}

/** First four bytes of SHA-256(name ‖ 0x0A ‖ signature type ‖ public key), big-endian (C2SP signed-note, "Signatures"). */
export function keyId(name: string, type: SignatureType, publicKey: Uint8Array): number {
  const hash = createHash('sha256')
    .update(name, 'utf8')
    .update(Buffer.of(0x0a, SIGNATURE_TYPES[type]))
    .update(publicKey);
  return hash.digest().readUInt32BE(0);
}

/** Puts a key together. Throws KEY_MALFORMED when the name or the length of the public key is wrong. */
export function makeVerifierKey(name: string, type: SignatureType, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name)) {
    throw new TlogError(
      'KEY_MALFORMED',
      `a key name is not empty and has neither spaces nor "+": ${JSON.stringify(name)}`,
    );
  }
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new TlogError(
      'KEY_MALFORMED',
      `the public key of ${name} has ${publicKey.length} bytes, not ${PUBLIC_KEY_BYTES}`,
    );
  }
  return { name, id: keyId(name, type, publicKey), type, publicKey };
}

/** The key as one line, without a newline. */
export function formatVkey(key: VerifierKey): string {
  const typed = Buffer.concat([Buffer.of(SIGNATURE_TYPES[key.type]), key.publicKey]);
  return `${key.name}+${formatKeyId(key.id)}+${encodeBase64(typed)}`;
}

/** Eight hex digits. */
export function formatKeyId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

/**
 * Reads a vkey; white space around it (the newline of a file) is ignored. Throws KEY_MALFORMED, KEY_UNSUPPORTED for
 * another signature type, KEY_IS_PRIVATE for a signing key.
 */
export function parseVkey(text: string): VerifierKey {
  const line = text.trim();
  if (line.startsWith(PRIVATE_PREFIX) || /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(line)) {
    throw new TlogError('KEY_IS_PRIVATE', 'this is a private key; give the vkey, <name>+<key ID>+<base64>');
  }
  // The base64 part may hold "+", so only the first two separate.
  const first = line.indexOf('+');
  const second = line.indexOf('+', first + 1);
  if (first < 0 || second < 0) {
    throw new TlogError('KEY_MALFORMED', 'this is not a vkey, which has the form <name>+<key ID>+<base64>');
  }
  const name = line.slice(0, first);
  const hex = line.slice(first + 1, second);
  const typed = decodeBase64(line.slice(second + 1));
  if (!isKeyName(name))
    throw new TlogError('KEY_MALFORMED', `the vkey's name is not a key name: ${JSON.stringify(name)}`);
  if (!/^[0-9a-fA-F]{8}$/.test(hex)) throw new TlogError('KEY_MALFORMED', `the key ID of ${name} is not 8 hex digits`);
  if (typed === undefined || typed.length === 0) {
    throw new TlogError('KEY_MALFORMED', `the last part of the vkey of ${name} is not base64`);
  }
  const key = makeVerifierKey(name, typeOf(name, typed[0] as number), typed.subarray(1));
  if (key.id !== Number.parseInt(hex, 16)) {
    throw new TlogError(
      'KEY_MALFORMED',
      `the key ID of ${name} is not the one of its public key: the vkey was mistyped or changed`,
    );
  }
  return key;
}

function typeOf(name: string, byte: number): SignatureType {
  for (const [type, value] of Object.entries(SIGNATURE_TYPES)) {
    if (value === byte) return type as SignatureType;
  }
  const hex = byte.toString(16).padStart(2, '0');
  throw new TlogError(
    'KEY_UNSUPPORTED',
    `the vkey of ${name} is of signature type 0x${hex}; supported are 0x01 and 0x04`,
  );
}
