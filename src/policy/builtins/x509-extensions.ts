// The extensions of a certificate (RFC 5280, 4.2) that Go's crypto/x509 understands.
import { printAddress } from './cidr.ts';
import { type Der, Der as Reader, readAll, TAG } from './der.ts';
import { BuiltinError } from './error.ts';
import { type GoUrl, parseUrl } from './go-url.ts';

export interface Extension {
  readonly id: readonly number[];
  readonly critical: boolean;
  readonly value: Buffer;
}

/** General names by kind; `other` says that there are kinds that Go does not read. */
export interface GeneralNames {
  readonly dns: string[];
  readonly email: string[];
  /** Bytes of addresses; in name constraints address and mask. */
  readonly ip: Buffer[];
  readonly uri: string[];
  readonly other: boolean;
}

/** What the extensions of one certificate say; names as in RFC 5280. */
export interface Extensions {
  readonly list: readonly Extension[];
  readonly subjectAltNames: GeneralNames;
  readonly urls: readonly { readonly text: string; readonly url: GoUrl }[];
  readonly keyUsage: number;
  readonly basicConstraints: { readonly isCa: boolean; readonly maxPath: number } | undefined;
  readonly extKeyUsage: readonly (readonly number[])[];
  readonly subjectKeyId: Buffer | undefined;
  readonly authorityKeyId: Buffer | undefined;
  readonly permitted: GeneralNames;
  readonly excluded: GeneralNames;
  readonly constraintsCritical: boolean;
  readonly ocsp: readonly string[];
  readonly issuers: readonly string[];
  readonly crls: readonly string[];
  readonly policies: readonly (readonly number[])[];
  /** Critical ones that nobody here understands. */
  readonly unhandled: readonly (readonly number[])[];
}

export function extensionList(extensions: Der | undefined): Extension[] {
  return (extensions?.expect(TAG.sequence).children() ?? []).map((extension) => {
    const [id, ...rest] = extension.expect(TAG.sequence).children();
    const [critical, value] = rest.length === 2 ? rest : [undefined, rest[0]];
    if (id === undefined || value === undefined) throw new BuiltinError('x509: malformed extension');
    return { id: id.oid(), critical: critical?.boolean() ?? false, value: value.expect(TAG.octetString).content };
  });
}

const HANDLED = new Set(
  ['14', '15', '17', '19', '30', '31', '32', '33', '35', '36', '37', '54']
    .map((arc) => `2.5.29.${arc}`)
    .concat('1.3.6.1.5.5.7.1.1'),
);

export function readExtensions(list: readonly Extension[]): Extensions {
  const find = (id: string): Extension | undefined => list.find((extension) => extension.id.join('.') === id);
  const value = (arc: number): Der | undefined => {
    const extension = find(`2.5.29.${arc}`);
    return extension === undefined ? undefined : Reader.of(extension.value);
  };
  const names = generalNames(value(17)?.children() ?? []);
  const constraints = value(30)?.children() ?? [];
  const access = find('1.3.6.1.5.5.7.1.1');
  const locations = access === undefined ? [] : Reader.of(access.value).children();
  const unhandled = list.filter(({ critical, id }) => critical && !HANDLED.has(id.join('.')));
  return {
    list,
    subjectAltNames: names,
    urls: names.uri.map((text) => ({ text, url: parseUrl(text) })),
    keyUsage: keyUsage(value(15)),
    basicConstraints: basicConstraints(value(19)),
    extKeyUsage: (value(37)?.children() ?? []).map((usage) => usage.oid()),
    subjectKeyId: value(14)?.expect(TAG.octetString).content,
    authorityKeyId: value(35)
      ?.children()
      .find(({ tag }) => tag === 0x80)?.content,
    permitted: subtrees(constraints, 0xa0),
    excluded: subtrees(constraints, 0xa1),
    constraintsCritical: find('2.5.29.30')?.critical ?? false,
    ocsp: accessLocations(locations, '1.3.6.1.5.5.7.48.1'),
    issuers: accessLocations(locations, '1.3.6.1.5.5.7.48.2'),
    crls: (value(31)?.children() ?? []).flatMap(distributionPoints),
    policies: (value(32)?.children() ?? []).map((policy) => policy.children()[0]?.oid() ?? []),
    unhandled: unhandled.map(({ id }) => id),
  };
}

function generalNames(names: readonly Der[]): GeneralNames {
  const of = (number: number): Buffer[] =>
    names.filter(({ tag }) => tag === 0x80 + number).map(({ content }) => content);
  const text = (number: number): string[] => of(number).map((content) => content.toString('latin1'));
  const known = [0x81, 0x82, 0x86, 0x87];
  return {
    email: text(1),
    dns: text(2),
    uri: text(6),
    ip: of(7),
    other: names.some(({ tag }) => !known.includes(tag)),
  };
}

function subtrees(constraints: readonly Der[], tag: number): GeneralNames {
  const trees = constraints.filter((candidate) => candidate.tag === tag).flatMap((candidate) => candidate.children());
  return generalNames(trees.flatMap((tree) => tree.children().slice(0, 1)));
}

/** x509.KeyUsage: bit i of the string is 1 << i. */
function keyUsage(value: Der | undefined): number {
  if (value === undefined) return 0;
  const bits = value.expect(TAG.bitString).bits();
  let usage = 0;
  for (let i = 0; i < Math.min(9, bits.length * 8); i++) {
    if (((bits[i >> 3] ?? 0) >> (7 - (i & 7))) & 1) usage |= 1 << i;
  }
  return usage;
}

/** `maxPath` is -1 when there is no limit. */
function basicConstraints(value: Der | undefined): { isCa: boolean; maxPath: number } | undefined {
  if (value === undefined) return undefined;
  const parts = value.expect(TAG.sequence).children();
  const limit = parts.find(({ tag }) => tag === TAG.integer);
  return {
    isCa: parts.find(({ tag }) => tag === TAG.boolean)?.boolean() ?? false,
    maxPath: limit === undefined ? -1 : Number(limit.integer()),
  };
}

function accessLocations(locations: readonly Der[], method: string): string[] {
  return locations.flatMap((location) => {
    const [id, name] = location.children();
    return id?.oid().join('.') === method && name?.tag === 0x86 ? [name.content.toString('latin1')] : [];
  });
}

/** The URIs of the full names of one distribution point. */
function distributionPoints(point: Der): string[] {
  const name = point.children().find(({ tag }) => tag === 0xa0);
  const full = name === undefined ? undefined : readAll(name.content).find(({ tag }) => tag === 0xa0);
  return (full?.children() ?? []).filter(({ tag }) => tag === 0x86).map(({ content }) => content.toString('latin1'));
}

/** An IP address of 4 or 16 bytes as text. */
export function addressText(bytes: Buffer): string {
  if (bytes.length !== 4 && bytes.length !== 16) throw new BuiltinError('x509: cannot parse IP address');
  return printAddress({ width: bytes.length === 4 ? 32 : 128, value: BigInt(`0x${bytes.toString('hex')}`) });
}
