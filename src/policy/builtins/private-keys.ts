// crypto.parse_private_keys and crypto.x509.parse_rsa_private_key: keys as Go's structures, or as a JWK.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { fromJson, RegoObject, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { attempt } from './jwk.ts';
import { stringOperand } from './operands.ts';
import { decodePemAll } from './pem.ts';
import type { Builtin } from './types.ts';
import { base64, jwkNumber, record } from './x509-record.ts';

export const PRIVATE_KEYS: Readonly<Record<string, Builtin>> = {
  'crypto.parse_private_keys': (args) => {
    const text = stringOperand(args, 1);
    return text === '' ? null : privateKeys(text).map(privateKeyValue);
  },
  'crypto.x509.parse_rsa_private_key': (args) => {
    const text = stringOperand(args, 1);
    if (text === '') throw new BuiltinError('input PEM data was empty');
    const [key] = privateKeys(text.startsWith('-----BEGIN') ? text : decodeBase64(text).toString('utf8'));
    return key === undefined ? null : fromJson(key.export({ format: 'jwk' }));
  },
};

/** Base64 with its padding, line breaks left out. Throws a BuiltinError for anything else. */
export function decodeBase64(text: string): Buffer {
  const digits = text.replace(/[\r\n]/g, '');
  if (!isBase64(digits)) throw new BuiltinError('illegal base64 data');
  return Buffer.from(digits, 'base64');
}

function isBase64(digits: string): boolean {
  return digits.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(digits);
}

const TYPES: Readonly<Record<string, 'pkcs1' | 'pkcs8' | 'sec1'>> = {
  'RSA PRIVATE KEY': 'pkcs1',
  'PRIVATE KEY': 'pkcs8',
  'EC PRIVATE KEY': 'sec1',
};

/** The keys of every PEM block that is a private key; blocks of other types are passed over. */
function privateKeys(text: string): KeyObject[] {
  const digits = text.replace(/[\r\n]/g, '');
  const pem = isBase64(digits) ? Buffer.from(digits, 'base64').toString('utf8') : text;
  return decodePemAll(pem).flatMap(({ type, der }) => {
    const form = TYPES[type];
    if (form === undefined) return [];
    return [attempt('cannot parse a private key', () => createPrivateKey({ key: der, format: 'der', type: form }))];
  });
}

/** rsa.PrivateKey, ecdsa.PrivateKey or ed25519.PrivateKey as JSON. */
export function privateKeyValue(key: KeyObject): Value {
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'RSA') {
    return record({
      N: jwkNumber(jwk.n),
      E: jwkNumber(jwk.e),
      D: jwkNumber(jwk.d),
      Primes: [jwkNumber(jwk.p), jwkNumber(jwk.q)],
      Precomputed: record({
        Dp: jwkNumber(jwk.dp),
        Dq: jwkNumber(jwk.dq),
        Qinv: jwkNumber(jwk.qi),
        CRTValues: [],
      }),
    });
  }
  if (jwk.kty === 'EC')
    return record({ Curve: new RegoObject([]), X: jwkNumber(jwk.x), Y: jwkNumber(jwk.y), D: jwkNumber(jwk.d) });
  // Go keeps the public key behind the seed.
  return base64(Buffer.concat([Buffer.from(jwk.d ?? '', 'base64url'), Buffer.from(jwk.x ?? '', 'base64url')]));
}
