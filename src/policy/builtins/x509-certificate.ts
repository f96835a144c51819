// One X.509 certificate: parsed from DER, and as the object that Go's x509.Certificate is in JSON.
import type { RegoObject, Value } from '../terms.ts';
import { type Der, readAll, TAG } from './der.ts';
import { BuiltinError } from './error.ts';
import { addressText, type Extensions, extensionList, readExtensions } from './x509-extensions.ts';
import {
  base64,
  bigNumber,
  listOrNull,
  nameOf,
  publicKeyOf,
  record,
  signatureAlgorithm,
  urlValue,
} from './x509-record.ts';

export interface Certificate {
  readonly raw: Buffer;
  readonly tbs: Der;
  readonly version: number;
  readonly serial: bigint;
  readonly issuer: Der;
  readonly subject: Der;
  readonly publicKeyInfo: Der;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly signatureAlgorithm: number;
  readonly signature: Buffer;
  readonly extensions: Extensions;
}

/** Every certificate of the bytes. Throws a BuiltinError when one is malformed. */
export function parseCertificates(bytes: Buffer): Certificate[] {
  return readAll(bytes).map(parseCertificate);
}

function parseCertificate(der: Der): Certificate {
  const [tbs, algorithm, signature] = der.expect(TAG.sequence).children();
  if (tbs === undefined || algorithm === undefined || signature === undefined) throw malformed();
  const fields = tbs.expect(TAG.sequence).children();
  const version = fields[0]?.tag === 0xa0 ? Number(fields.shift()?.children()[0]?.integer() ?? 0n) + 1 : 1;
  const [serial, , issuer, validity, subject, publicKeyInfo, ...optional] = fields;
  const [notBefore, notAfter] = validity?.expect(TAG.sequence).children() ?? [];
  if (serial === undefined || issuer === undefined || subject === undefined || publicKeyInfo === undefined)
    throw malformed();
  if (notBefore === undefined || notAfter === undefined || version > 3) throw malformed();
  const extensions = optional.find(({ tag }) => tag === 0xa3)?.children()[0];
  return {
    raw: der.raw,
    tbs,
    version,
    serial: serial.expect(TAG.integer).integer(),
    issuer: issuer.expect(TAG.sequence),
    subject: subject.expect(TAG.sequence),
    publicKeyInfo: publicKeyInfo.expect(TAG.sequence),
    notBefore: notBefore.time(),
    notAfter: notAfter.time(),
    signatureAlgorithm: signatureAlgorithm(algorithm),
    signature: signature.expect(TAG.bitString).bits(),
    extensions: readExtensions(extensionList(extensions)),
  };
}

function malformed(): BuiltinError {
  return new BuiltinError('x509: malformed certificate');
}

/** x509.ExtKeyUsage: the position in this list. */
export const EXT_KEY_USAGES: readonly string[] = [
  '2.5.29.37.0',
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((arc) => `1.3.6.1.5.5.7.3.${arc}`),
  '1.3.6.1.4.1.311.10.3.3',
  '2.16.840.1.113730.4.1',
  '1.3.6.1.4.1.311.2.1.22',
  '1.3.6.1.4.1.311.61.1.1',
];

/** `extended` adds the URIs as text, as OPA does. */
export function certificateValue(certificate: Certificate, extended: boolean): RegoObject {
  const { extensions } = certificate;
  const { algorithm, key } = publicKeyOf(certificate.publicKeyInfo);
  return record({
    Raw: base64(certificate.raw),
    RawTBSCertificate: base64(certificate.tbs.raw),
    RawSubjectPublicKeyInfo: base64(certificate.publicKeyInfo.raw),
    RawSubject: base64(certificate.subject.raw),
    RawIssuer: base64(certificate.issuer.raw),
    Signature: base64(certificate.signature),
    SignatureAlgorithm: certificate.signatureAlgorithm,
    PublicKeyAlgorithm: algorithm,
    PublicKey: key,
    Version: certificate.version,
    SerialNumber: bigNumber(certificate.serial),
    Issuer: nameOf(certificate.issuer),
    Subject: nameOf(certificate.subject),
    NotBefore: timeText(certificate.notBefore),
    NotAfter: timeText(certificate.notAfter),
    ...extensionFields(extensions),
    ...constraintFields(extensions),
    ...(extended ? { URIStrings: listOrNull(extensions.urls.map(({ text }) => text)) } : {}),
  });
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

function extensionFields(extensions: Extensions): Record<string, Value> {
  const usages = extensions.extKeyUsage.map((oid) => ({ oid, number: EXT_KEY_USAGES.indexOf(oid.join('.')) }));
  const { basicConstraints } = extensions;
  return {
    KeyUsage: extensions.keyUsage,
    Extensions: listOrNull(extensionValues(extensions)),
    ExtraExtensions: null,
    UnhandledCriticalExtensions: listOrNull(extensions.unhandled.map((oid) => [...oid])),
    ExtKeyUsage: listOrNull(usages.filter(({ number }) => number >= 0).map(({ number }) => number)),
    UnknownExtKeyUsage: listOrNull(usages.filter(({ number }) => number < 0).map(({ oid }) => [...oid])),
    BasicConstraintsValid: basicConstraints !== undefined,
    IsCA: basicConstraints?.isCa ?? false,
    MaxPathLen: basicConstraints?.maxPath ?? 0,
    MaxPathLenZero: basicConstraints?.maxPath === 0,
    SubjectKeyId: bytesOrNull(extensions.subjectKeyId),
    AuthorityKeyId: bytesOrNull(extensions.authorityKeyId),
    OCSPServer: listOrNull(extensions.ocsp),
    IssuingCertificateURL: listOrNull(extensions.issuers),
    CRLDistributionPoints: listOrNull(extensions.crls),
    ...nameFields(extensions),
  };
}

function bytesOrNull(bytes: Buffer | undefined): Value {
  return bytes === undefined ? null : base64(bytes);
}

export function extensionValues({ list }: Extensions): RegoObject[] {
  return list.map(({ id, critical, value }) => record({ Id: [...id], Critical: critical, Value: base64(value) }));
}

/** The subject's alternative names. */
export function nameFields({ subjectAltNames: names, urls }: Extensions): Record<string, Value> {
  return {
    DNSNames: listOrNull(names.dns),
    EmailAddresses: listOrNull(names.email),
    IPAddresses: listOrNull(names.ip.map(addressText)),
    URIs: listOrNull(urls.map(({ url }) => urlValue(url))),
  };
}

function constraintFields({ permitted, excluded, constraintsCritical, policies }: Extensions): Record<string, Value> {
  return {
    PermittedDNSDomainsCritical: constraintsCritical,
    PermittedDNSDomains: listOrNull(permitted.dns),
    ExcludedDNSDomains: listOrNull(excluded.dns),
    PermittedIPRanges: listOrNull(permitted.ip.map(rangeValue)),
    ExcludedIPRanges: listOrNull(excluded.ip.map(rangeValue)),
    PermittedEmailAddresses: listOrNull(permitted.email),
    ExcludedEmailAddresses: listOrNull(excluded.email),
    PermittedURIDomains: listOrNull(permitted.uri),
    ExcludedURIDomains: listOrNull(excluded.uri),
    PolicyIdentifiers: listOrNull(policies.map((oid) => [...oid])),
    Policies: listOrNull(policies.map((oid) => oid.join('.'))),
    InhibitAnyPolicy: 0,
    InhibitAnyPolicyZero: false,
    InhibitPolicyMapping: 0,
    InhibitPolicyMappingZero: false,
    RequireExplicitPolicy: 0,
    RequireExplicitPolicyZero: false,
    PolicyMappings: null,
  };
}

function rangeValue(bytes: Buffer): RegoObject {
  const half = bytes.length / 2;
  return record({ IP: addressText(bytes.subarray(0, half)), Mask: base64(bytes.subarray(half)) });
}
