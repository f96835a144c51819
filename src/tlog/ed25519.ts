// Ed25519 keys between their raw 32 bytes (RFC 8032) and Node's KeyObject, by the fixed DER prefixes of RFC 8410.
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { TlogError } from './errors.ts';

const RAW_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

/** OneAsymmetricKey, version 0, id-Ed25519, OCTET STRING in an OCTET STRING (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
/** SubjectPublicKeyInfo, id-Ed25519, BIT STRING (RFC 8410 §4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The signing key of a raw seed (RFC 8032 §5.1.5 calls it the private key). Throws KEY_MALFORMED unless it has 32 bytes. */
export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  requireRaw(seed, 'seed');
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

/** The raw 32-byte seed of a private key. Throws KEY_MALFORMED when the key is not a private Ed25519 key. */
export function seedOf(key: KeyObject): Buffer {
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new TlogError(
      'KEY_MALFORMED',
      `expected a private Ed25519 key, not a ${key.type} ${key.asymmetricKeyType} key`,
    );
  }
  return key.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length);
}

/** The verifying key of 32 raw bytes. Throws KEY_MALFORMED unless there are 32. */
export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  requireRaw(raw, 'public key');
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/** The raw 32-byte public key of a private or public key. Throws KEY_MALFORMED when it is not an Ed25519 key. */
export function rawPublicKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new TlogError('KEY_MALFORMED', `expected an Ed25519 key, not a ${key.type} ${key.asymmetricKeyType} key`);
  }
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

/** A signature of 64 bytes (RFC 8032, pure Ed25519). */
export function signEd25519(message: Uint8Array, privateKey: KeyObject): Buffer {
  return sign(null, message, privateKey);
}

/** Whether `signature` is one by `publicKey` over `message`. Never throws on what the signature contains, whatever its length. */
export function verifyEd25519(message: Uint8Array, signature: Uint8Array, publicKey: KeyObject): boolean {
  return verify(null, message, publicKey, signature);
}

function requireRaw(bytes: Uint8Array, what: string): void {
  if (bytes.length !== RAW_BYTES) {
    throw new TlogError('KEY_MALFORMED', `an Ed25519 ${what} has ${RAW_BYTES} bytes, not ${bytes.length}`);
  }
}
