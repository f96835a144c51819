// Pieces that certificates and certificate requests share, in the shape that Go's crypto/x509 gives them as JSON, which is
// what policies see.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { numberOf, RegoObject, type Value } from '../terms.ts';
import { type Der, TAG } from './der.ts';
import type { GoUrl } from './go-url.ts';

export function record(fields: Readonly<Record<string, Value>>): RegoObject {
  return new RegoObject(Object.entries(fields));
}

export function base64(bytes: Buffer): string {
  return bytes.toString('base64');
}

/** Go prints an empty slice that was never made as null. */
export function listOrNull(values: readonly Value[]): Value {
  return values.length === 0 ? null : [...values];
}

export function bigNumber(value: bigint): Value {
  return numberOf(value.toString());
}

/** The attributes of a name that have a field of their own (pkix.Name), by their last arc under 2.5.4. */
const NAME_LISTS: Readonly<Record<number, string>> = {
  6: 'Country',
  7: 'Locality',
  8: 'Province',
  9: 'StreetAddress',
  10: 'Organization',
  11: 'OrganizationalUnit',
  17: 'PostalCode',
};

export function nameOf(name: Der): RegoObject {
  const lists = new Map<string, Value[]>(Object.values(NAME_LISTS).map((field) => [field, []]));
  let [commonName, serialNumber] = ['', ''];
  const names = name
    .expect(TAG.sequence)
    .children()
    .flatMap((relative) => relative.expect(TAG.set).children());
  const attributes = names.map((attribute) => {
    const [type, value] = attribute.expect(TAG.sequence).children();
    const arcs = type === undefined ? [] : type.oid();
    const text = value?.text() ?? '';
    if (arcs.length === 4 && arcs.slice(0, 3).join('.') === '2.5.4') {
      const last = arcs[3] ?? 0;
      if (last === 3) commonName = text;
      else if (last === 5) serialNumber = text;
      else lists.get(NAME_LISTS[last] ?? '')?.push(text);
    }
    return record({ Type: arcs, Value: text });
  });
  const fields = [...lists].map(([field, values]) => [field, listOrNull(values)] as const);
  return record({
    ...Object.fromEntries(fields),
    CommonName: commonName,
    SerialNumber: serialNumber,
    Names: listOrNull(attributes),
    ExtraNames: null,
  });
}

/** x509.SignatureAlgorithm by object identifier. */
const SIGNATURES: Readonly<Record<string, number>> = {
  '1.2.840.113549.1.1.2': 1,
  '1.2.840.113549.1.1.4': 2,
  '1.2.840.113549.1.1.5': 3,
  '1.3.14.3.2.29': 3,
  '1.2.840.113549.1.1.11': 4,
  '1.2.840.113549.1.1.12': 5,
  '1.2.840.113549.1.1.13': 6,
  '1.2.840.10040.4.3': 7,
  '2.16.840.1.101.3.4.3.2': 8,
  '1.2.840.10045.4.1': 9,
  '1.2.840.10045.4.3.2': 10,
  '1.2.840.10045.4.3.3': 11,
  '1.2.840.10045.4.3.4': 12,
  '1.3.101.112': 16,
};

const PSS = '1.2.840.113549.1.1.10';
const PSS_HASHES: Readonly<Record<string, number>> = {
  '2.16.840.1.101.3.4.2.1': 13,
  '2.16.840.1.101.3.4.2.2': 14,
  '2.16.840.1.101.3.4.2.3': 15,
};

/** 0 for one that nobody knows. */
export function signatureAlgorithm(identifier: Der): number {
  const [oid, parameters] = identifier.expect(TAG.sequence).children();
  const name = oid?.oid().join('.') ?? '';
  if (name !== PSS) return SIGNATURES[name] ?? 0;
  const hash = parameters
    ?.children()
    .find(({ tag }) => tag === 0xa0)
    ?.children()[0]
    ?.children()[0];
  return PSS_HASHES[hash?.oid().join('.') ?? ''] ?? 0;
}

/** x509.PublicKeyAlgorithm by object identifier. */
const KEY_ALGORITHMS: Readonly<Record<string, number>> = {
  '1.2.840.113549.1.1.1': 1,
  '1.2.840.10040.4.1': 2,
  '1.2.840.10045.2.1': 3,
  '1.3.101.112': 4,
};

/** The algorithm's number and the key: RSA {N, E}, ECDSA {Curve, X, Y}, Ed25519 its bytes, null for any other. */
export function publicKeyOf(info: Der): { algorithm: number; key: Value } {
  const [identifier] = info.children();
  const [oid] = identifier?.children() ?? [];
  const algorithm = KEY_ALGORITHMS[oid?.oid().join('.') ?? ''] ?? 0;
  if (algorithm === 0 || algorithm === 2) return { algorithm, key: null };
  const key = createPublicKey({ key: info.raw, format: 'der', type: 'spki' });
  return { algorithm, key: publicKeyValue(key) };
}

export function publicKeyValue(key: KeyObject): Value {
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'RSA') return record({ N: jwkNumber(jwk.n), E: jwkNumber(jwk.e) });
  if (jwk.kty === 'EC') return record({ Curve: new RegoObject([]), X: jwkNumber(jwk.x), Y: jwkNumber(jwk.y) });
  return base64(Buffer.from(jwk.x ?? '', 'base64url'));
}

/** A number as JWK writes it: the bytes of its magnitude in base64url. */
export function jwkNumber(text: string | undefined): Value {
  return bigNumber(BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex') || '0'}`));
}

/** url.URL as JSON. */
export function urlValue(url: GoUrl): RegoObject {
  return record({
    Scheme: url.scheme,
    Opaque: url.opaque,
    User: url.hasUser ? new RegoObject([]) : null,
    Host: url.host,
    Path: url.path,
    Fragment: url.fragment,
    RawQuery: url.rawQuery,
    RawPath: url.rawPath,
    RawFragment: url.rawFragment,
    ForceQuery: url.forceQuery,
    OmitHost: url.omitHost,
  });
}
