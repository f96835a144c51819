// Keys for tokens: PEM certificates and public keys, JWKs and sets of them, by Node's own crypto, which is synchronous as
// a built-in must be.
import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { toJson } from '../terms.ts';
import { decodeBase64Url } from './base64url.ts';
import { BuiltinError } from './error.ts';
import { readJson } from './go-json.ts';
import { decodePem } from './pem.ts';

/** The algorithms that tokens may be signed with. */
export const ALGORITHMS: ReadonlySet<string> = new Set(
  'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 HS256 HS384 HS512 EdDSA'.split(' '),
);

/** A key and what its JWK says of it; empty where it says nothing, as for a certificate. */
export interface TokenKey {
  readonly alg: string;
  readonly kid: string;
  readonly key: KeyObject;
}

/** The keys of a PEM certificate, a PEM public key, a JWK or a JWK set. Throws a BuiltinError for anything else. */
export function verificationKeys(text: string): TokenKey[] {
  const pem = decodePem(text);
  if (pem === undefined) {
    // A key whose algorithm nobody knows is passed over.
    return jwkSet(text).filter(({ alg }) => alg === '' || ALGORITHMS.has(alg));
  }
  if (pem.rest !== '') throw new BuiltinError('extra data after a PEM certificate block');
  if (pem.type !== 'CERTIFICATE' && pem.type !== 'PUBLIC KEY')
    throw new BuiltinError('failed to extract a Key from the PEM certificate');
  const key = attempt('failed to parse a PEM key', () => createPublicKey(pem.text));
  return [{ alg: '', kid: '', key }];
}

/** The keys of a JWK or a JWK set, private ones as private keys. */
export function jwkSet(text: string): TokenKey[] {
  const json = toJson(readJson(text));
  if (!isRecord(json)) throw new BuiltinError('failed to parse a JWK key (set)');
  const list = json['keys'] === undefined ? [json] : json['keys'];
  if (!Array.isArray(list)) throw new BuiltinError('failed to parse a JWK key (set)');
  return list.map((jwk: unknown) => {
    if (!isRecord(jwk)) throw new BuiltinError('failed to parse a JWK key (set)');
    return { alg: textOf(jwk['alg']), kid: textOf(jwk['kid']), key: keyOf(jwk) };
  });
}

function keyOf(jwk: Readonly<Record<string, unknown>>): KeyObject {
  return attempt('failed to parse a JWK key (set)', () => {
    if (jwk['kty'] === 'oct') {
      if (typeof jwk['k'] !== 'string') throw new BuiltinError('failed to parse a JWK key (set)');
      return createSecretKey(decodeBase64Url(jwk['k']));
    }
    const input = { key: jwk as JsonWebKeyInput['key'], format: 'jwk' } as const;
    return jwk['d'] === undefined ? createPublicKey(input) : createPrivateKey(input);
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw new BuiltinError('failed to parse a JWK key (set)');
  return value;
}

/** What Node's crypto refuses is an error of the built-in, not of the host. */
export function attempt<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof BuiltinError) throw error;
    throw new BuiltinError(what, { cause: error });
  }
}

/** The secret key of a text. */
export function secretKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret, 'utf8'));
}
