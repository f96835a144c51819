// Builds and checks a chain of certificates as Go's x509.Certificate.Verify does with roots of its own: signatures, dates,
// authorities, path lengths, name constraints, key usages, the host name. What cannot be judged is not trusted.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { parseAddress } from './cidr.ts';
import type { Certificate } from './x509-certificate.ts';
import { EXT_KEY_USAGES } from './x509-certificate.ts';
import type { GeneralNames } from './x509-extensions.ts';

export interface VerifyOptions {
  /** A host name or an address, in brackets if it is IPv6; empty for none. */
  readonly host: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Object identifiers of which one must be usable through the whole chain. */
  readonly usages: readonly string[];
}

/** Server authentication, unless somebody asks for something else. */
export const DEFAULT_USAGES: readonly string[] = EXT_KEY_USAGES.slice(1, 2);
export const ANY_USAGE = '2.5.29.37.0';

/** Number of signatures that may be checked: 2^n chains must not be followed. */
const MAX_SIGNATURES = 100;

const CERT_SIGN = 1 << 5;
/** MD2, MD5 and SHA-1 in any of their forms, and what is unknown. */
const UNTRUSTED_ALGORITHMS = new Set([0, 1, 2, 3, 7, 8, 9]);

/** The chain from the leaf to the root, or undefined when there is none. */
export function verifyChain(
  leaf: Certificate,
  root: Certificate,
  intermediates: readonly Certificate[],
  options: VerifyOptions,
): Certificate[] | undefined {
  let signatures = 0;
  if (!isUsable(leaf, [], options) || !matchesHost(leaf, options.host)) return undefined;
  const extend = (chain: readonly Certificate[]): Certificate[] | undefined => {
    const child = chain.at(-1) as Certificate;
    const parents = [...(chain.some((one) => one.raw.equals(root.raw)) ? [] : [root]), ...intermediates];
    for (const parent of parents) {
      if (!parent.subject.raw.equals(child.issuer.raw) || chain.some((one) => isSame(one, parent))) continue;
      if (++signatures > MAX_SIGNATURES) return undefined;
      if (!isIssuedBy(child, parent) || !isUsable(parent, chain, options)) continue;
      const longer = [...chain, parent];
      const found = parent === root ? (allowsUsage(longer, options.usages) ? longer : undefined) : extend(longer);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  if (leaf.raw.equals(root.raw)) return allowsUsage([leaf], options.usages) ? [leaf] : undefined;
  return extend([leaf]);
}

/** Same subject, key and alternative names: it would only make the chain longer. */
function isSame(a: Certificate, b: Certificate): boolean {
  return a.subject.raw.equals(b.subject.raw) && a.publicKeyInfo.raw.equals(b.publicKeyInfo.raw);
}

function isIssuedBy(child: Certificate, parent: Certificate): boolean {
  if (UNTRUSTED_ALGORITHMS.has(child.signatureAlgorithm)) return false;
  if (parent.extensions.keyUsage !== 0 && (parent.extensions.keyUsage & CERT_SIGN) === 0) return false;
  try {
    const key = createPublicKey({ key: parent.publicKeyInfo.raw, format: 'der', type: 'spki' });
    return new X509Certificate(child.raw).verify(key);
  } catch {
    // OpenSSL refuses the certificate or the key: the signature proves nothing.
    return false;
  }
}

/** `below` is the chain under it; empty for the leaf. */
function isUsable(certificate: Certificate, below: readonly Certificate[], { time }: VerifyOptions): boolean {
  const { extensions, version, notBefore, notAfter } = certificate;
  if (extensions.unhandled.length > 0 || time < notBefore || time > notAfter) return false;
  if (below.length === 0) return true;
  const { basicConstraints } = extensions;
  if (basicConstraints === undefined ? version === 3 : !basicConstraints.isCa) return false;
  const maxPath = basicConstraints?.maxPath ?? -1;
  if (maxPath >= 0 && below.length - 1 > maxPath) return false;
  return below.every((one) => meetsConstraints(one.extensions.subjectAltNames, extensions));
}

function meetsConstraints(
  names: GeneralNames,
  { permitted, excluded }: { readonly permitted: GeneralNames; readonly excluded: GeneralNames },
): boolean {
  // Directory names and other kinds are not compared: with them nothing is trusted.
  if (permitted.other || excluded.other) return false;
  return (
    within(names.dns, permitted.dns, excluded.dns, inDomain) &&
    within(names.email, permitted.email, excluded.email, inMailbox) &&
    within(names.ip, permitted.ip, excluded.ip, inRange) &&
    within(names.uri, permitted.uri, excluded.uri, uriInDomain)
  );
}

function within<T>(
  names: readonly T[],
  permitted: readonly T[],
  excluded: readonly T[],
  matches: (name: T, constraint: T) => boolean,
): boolean {
  return names.every(
    (name) =>
      !excluded.some((constraint) => matches(name, constraint) || coversExcluded(name, constraint)) &&
      (permitted.length === 0 || permitted.some((constraint) => matches(name, constraint))),
  );
}

/** A wildcard stands for the excluded host, too. */
function coversExcluded(name: unknown, constraint: unknown): boolean {
  if (typeof name !== 'string' || typeof constraint !== 'string' || !name.startsWith('*.')) return false;
  return constraint.toLowerCase().replace(/^[^.]*\./, '') === name.slice(2).toLowerCase();
}

function inDomain(name: string, constraint: string): boolean {
  const [host, domain] = [name.toLowerCase(), constraint.toLowerCase()];
  if (domain === '') return true;
  // With a dot before it, a constraint asks for at least one label more.
  return host.endsWith(domain.startsWith('.') ? domain : `.${domain}`) || host === domain;
}

function inMailbox(name: string, constraint: string): boolean {
  if (constraint.includes('@')) return name === constraint;
  return inHost(name.slice(name.lastIndexOf('@') + 1), constraint);
}

function inHost(host: string, constraint: string): boolean {
  return constraint.startsWith('.') ? inDomain(host, constraint) : host.toLowerCase() === constraint.toLowerCase();
}

function uriInDomain(uri: string, constraint: string): boolean {
  const host = /^[^:]*:\/\/(?:[^@/]*@)?([^:/?#]*)/.exec(uri)?.[1] ?? '';
  return host !== '' && inDomain(host, constraint);
}

function inRange(address: Buffer, range: Buffer): boolean {
  const half = range.length / 2;
  return (
    address.length === half && address.every((byte, i) => ((byte ^ (range[i] ?? 0)) & (range[half + i] ?? 0)) === 0)
  );
}

/** Some usage that is asked for must be possible in every certificate; one without usages does not limit them. */
function allowsUsage(chain: readonly Certificate[], usages: readonly string[]): boolean {
  if (usages.includes(ANY_USAGE)) return true;
  return usages.some((usage) =>
    chain.every(({ extensions: { extKeyUsage } }) => {
      const given = extKeyUsage.map((oid) => oid.join('.'));
      return given.length === 0 || given.includes(ANY_USAGE) || given.includes(usage);
    }),
  );
}

function matchesHost(leaf: Certificate, host: string): boolean {
  if (host === '') return true;
  const { dns, ip } = leaf.extensions.subjectAltNames;
  const address = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (isIP(address) !== 0) {
    const wanted = parseAddress(address);
    return ip.some((bytes) => wanted !== undefined && BigInt(`0x${bytes.toString('hex')}`) === wanted.value);
  }
  const labels = host.toLowerCase().replace(/\.$/, '').split('.');
  return dns.some((pattern) => {
    const wanted = pattern.toLowerCase().replace(/\.$/, '').split('.');
    return (
      wanted.length === labels.length && wanted.every((label, i) => label === labels[i] || (i === 0 && label === '*'))
    );
  });
}
