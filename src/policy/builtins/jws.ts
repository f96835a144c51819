// Signatures of tokens (RFC 7518): sign and verify with the algorithm that the header names, if the key is of its kind.
import {
  constants,
  createHmac,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  timingSafeEqual,
  verify as verifyBytes,
} from 'node:crypto';
import { BuiltinError } from './error.ts';
import { attempt } from './jwk.ts';

/** What an algorithm's name says: the kind of signature, and the hash (empty for EdDSA). */
function parts(algorithm: string): { kind: string; hash: string } {
  return { kind: algorithm.slice(0, 2), hash: algorithm === 'EdDSA' ? '' : `sha${algorithm.slice(2)}` };
}

/** The kind of asymmetric key that each kind of signature needs: an RSA key never checks an HMAC. */
const KEY_TYPES: Readonly<Record<string, string>> = { RS: 'rsa', PS: 'rsa', ES: 'ec', Ed: 'ed25519' };

interface NodeKey {
  readonly key: KeyObject;
  readonly padding?: number;
  readonly saltLength?: number;
  readonly dsaEncoding?: 'ieee-p1363';
}

function nodeKey(kind: string, key: KeyObject, saltLength: number): NodeKey {
  if (key.asymmetricKeyType !== KEY_TYPES[kind]) throw new BuiltinError('incorrect key type');
  if (kind === 'PS') return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  if (kind === 'ES') return { key, dsaEncoding: 'ieee-p1363' };
  return { key };
}

export interface Jws {
  readonly algorithm: string;
  /** What was signed. */
  readonly text: string;
  readonly signature: Buffer;
}

/**
 * Whether the signature is by that key. A key of another kind than the algorithm needs is no match. RSASSA-PSS takes a
 * salt of the hash's length, as RFC 7518 asks, or with `anySalt` of any length.
 */
export function verifyJws({ algorithm, text, signature }: Jws, key: KeyObject, anySalt = false): boolean {
  const { kind, hash } = parts(algorithm);
  if (kind === 'HS') {
    if (key.type !== 'secret') return false;
    const expected = createHmac(hash, key).update(text).digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  if (key.type === 'secret') return false;
  try {
    const publicKey = key.type === 'private' ? createPublicKey(key) : key;
    const salt = anySalt ? constants.RSA_PSS_SALTLEN_AUTO : constants.RSA_PSS_SALTLEN_DIGEST;
    return verifyBytes(hash || null, Buffer.from(text), nodeKey(kind, publicKey, salt), signature);
  } catch {
    // A key of another kind, or one that OpenSSL cannot use: the signature is not by it.
    return false;
  }
}

/** The signature of `text`. Throws a BuiltinError when the key does not fit the algorithm. */
export function signJws(algorithm: string, key: KeyObject, text: string): Buffer {
  const { kind, hash } = parts(algorithm);
  if (kind === 'HS') {
    if (key.type !== 'secret') throw new BuiltinError('incorrect key type');
    return createHmac(hash, key).update(text).digest();
  }
  if (key.type !== 'private') throw new BuiltinError('incorrect key type');
  const salt = constants.RSA_PSS_SALTLEN_DIGEST;
  return attempt('cannot sign', () => signBytes(hash || null, Buffer.from(text), nodeKey(kind, key, salt)));
}
