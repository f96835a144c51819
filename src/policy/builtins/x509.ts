// crypto.x509.*: certificates, requests and key pairs as the objects that Go's structures are in JSON.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { integerOf, isNumber, RegoObject, RegoSet, type Value } from '../terms.ts';
import { Der, TAG } from './der.ts';
import { BuiltinError } from './error.ts';
import { attempt } from './jwk.ts';
import { objectOperand, stringOperand } from './operands.ts';
import { decodePem, decodePemAll } from './pem.ts';
import { decodeBase64, privateKeyValue } from './private-keys.ts';
import type { Builtin, BuiltinContext } from './types.ts';
import {
  type Certificate,
  certificateValue,
  EXT_KEY_USAGES,
  extensionValues,
  nameFields,
  parseCertificates,
} from './x509-certificate.ts';
import { extensionList, readExtensions } from './x509-extensions.ts';
import { base64, listOrNull, nameOf, publicKeyOf, record, signatureAlgorithm } from './x509-record.ts';
import { DEFAULT_USAGES, type VerifyOptions, verifyChain } from './x509-verify.ts';

export const X509: Readonly<Record<string, Builtin>> = {
  'crypto.x509.parse_certificates': (args) =>
    certificates(stringOperand(args, 1)).map((certificate) => certificateValue(certificate, true)),
  'crypto.x509.parse_and_verify_certificates': (args, context) =>
    verified(stringOperand(args, 1), readOptions(new RegoObject([]), context), true),
  'crypto.x509.parse_and_verify_certificates_with_options': (args, context) =>
    verified(stringOperand(args, 1), readOptions(objectOperand(args, 2), context), false),
  'crypto.x509.parse_certificate_request': (args) => request(stringOperand(args, 1)),
  'crypto.x509.parse_keypair': (args) => keyPair(stringOperand(args, 1), stringOperand(args, 2)),
};

/** PEM, PEM in base64, or DER in base64. */
function certificates(text: string): Certificate[] {
  if (text.startsWith('-----BEGIN')) return parseCertificates(derOf(text));
  const bytes = decodeBase64(text);
  const inner = bytes.toString('latin1');
  return parseCertificates(inner.startsWith('-----BEGIN') ? derOf(inner) : bytes);
}

function derOf(pem: string): Buffer {
  const blocks = decodePemAll(pem);
  const other = blocks.find(({ type }) => type !== 'CERTIFICATE');
  if (other !== undefined) throw new BuiltinError(`PEM block type is '${other.type}', expected CERTIFICATE`);
  return Buffer.concat(blocks.map(({ der }) => der));
}

/** The first is the root, the last the leaf, the others stand between. [whether the chain holds, its certificates]. */
function verified(text: string, options: VerifyOptions, extended: boolean): Value {
  const chain = chainOf(text, options);
  return chain === undefined
    ? [false, []]
    : [true, chain.map((certificate) => certificateValue(certificate, extended))];
}

function chainOf(text: string, options: VerifyOptions): Certificate[] | undefined {
  try {
    const all = certificates(text);
    const [root, leaf] = [all[0], all.at(-1)];
    if (root === undefined || leaf === undefined || all.length < 2) return undefined;
    return verifyChain(leaf, root, all.slice(1, -1), options);
  } catch (error) {
    if (error instanceof BuiltinError) return undefined;
    throw error;
  }
}

/** What OPA calls the extended key usages, in the order of their numbers. */
const USAGE_NAMES = [
  ...[
    'Any',
    'ServerAuth',
    'ClientAuth',
    'CodeSigning',
    'EmailProtection',
    'IPSECEndSystem',
    'IPSECTunnel',
    'IPSECUser',
  ],
  ...['TimeStamping', 'OCSPSigning', 'MicrosoftServerGatedCrypto', 'NetscapeServerGatedCrypto'],
  ...['MicrosoftCommercialCodeSigning', 'MicrosoftKernelCodeSigning'],
].map((name) => `KeyUsage${name}`);

function readOptions(given: RegoObject, context: BuiltinContext): VerifyOptions {
  let options: VerifyOptions = { host: '', time: Number(context.now / 1_000_000n), usages: DEFAULT_USAGES };
  for (const [name, value] of given.entries) {
    if (name === 'DNSName' && typeof value === 'string') options = { ...options, host: value.replace(/^"+|"+$/g, '') };
    else if (name === 'CurrentTime') options = { ...options, time: Number(integer(name, value) / 1_000_000n) };
    // Go stops comparing names after that many; there is a limit here anyway.
    else if (name === 'MaxConstraintComparisons') integer(name, value);
    else if (name === 'KeyUsages') options = { ...options, usages: usagesOf(value) };
    else if (typeof name === 'string') throw new BuiltinError(`invalid key option ${name}`);
  }
  return options;
}

function integer(name: string, value: Value): bigint {
  const exact = isNumber(value) ? integerOf(value) : undefined;
  if (exact === undefined) throw new BuiltinError(`'${name}' should be a number`);
  return exact;
}

function usagesOf(value: Value): readonly string[] {
  const names = value instanceof RegoSet ? value.members : value;
  if (!Array.isArray(names)) throw new BuiltinError("'KeyUsages' should be an Array or Set");
  const usages = names
    .filter((name) => typeof name === 'string')
    .map((name) => EXT_KEY_USAGES[USAGE_NAMES.indexOf(name.replace(/^"+|"+$/g, ''))]);
  if (usages.some((usage) => usage === undefined)) throw new BuiltinError("invalid entries for 'KeyUsages' found");
  return usages.length === 0 ? DEFAULT_USAGES : usages.filter((usage) => usage !== undefined);
}

/** A request in PEM, or PEM or DER in base64. */
function request(text: string): Value {
  const plain = text.startsWith('-----BEGIN CERTIFICATE REQUEST-----') ? Buffer.from(text) : decodeBase64(text);
  const block = decodePem(plain.toString('latin1'));
  if (block !== undefined && block.type !== 'CERTIFICATE REQUEST')
    throw new BuiltinError('invalid PEM-encoded certificate signing request');
  const der = Der.of(block?.der ?? plain);
  const [info, algorithm, signature] = der.expect(TAG.sequence).children();
  const [version, subject, publicKeyInfo, attributes] = info?.expect(TAG.sequence).children() ?? [];
  if (info === undefined || algorithm === undefined || signature === undefined || version === undefined)
    throw new BuiltinError('asn1: structure error');
  if (subject === undefined || publicKeyInfo === undefined) throw new BuiltinError('asn1: structure error');
  const { algorithm: keyAlgorithm, key } = publicKeyOf(publicKeyInfo);
  const asked = (attributes?.children() ?? []).filter((attribute) => isExtensionRequest(attribute));
  const extensions = readExtensions(asked.flatMap((attribute) => extensionList(requested(attribute))));
  return record({
    Raw: base64(der.raw),
    RawTBSCertificateRequest: base64(info.raw),
    RawSubjectPublicKeyInfo: base64(publicKeyInfo.raw),
    RawSubject: base64(subject.raw),
    Version: Number(version.integer()),
    Signature: base64(signature.bits()),
    SignatureAlgorithm: signatureAlgorithm(algorithm),
    PublicKeyAlgorithm: keyAlgorithm,
    PublicKey: key,
    Subject: nameOf(subject),
    Attributes: listOrNull(asked.map(attributeValue)),
    Extensions: listOrNull(extensionValues(extensions)),
    ExtraExtensions: null,
    ...nameFields(extensions),
  });
}

function isExtensionRequest(attribute: Der): boolean {
  return attribute.children()[0]?.oid().join('.') === '1.2.840.113549.1.9.14';
}

/** The extensions that the attribute asks for. */
function requested(attribute: Der): Der | undefined {
  return attribute.children()[1]?.children()[0];
}

/** pkix.AttributeTypeAndValueSET: of each extension the first element behind its identifier. */
function attributeValue(attribute: Der): Value {
  const pairs = (requested(attribute)?.children() ?? []).map((extension) => {
    const [id, value] = extension.children();
    const isFlag = value?.tag === TAG.boolean;
    return record({
      Type: id?.oid() ?? [],
      Value: isFlag ? value.boolean() : base64(value?.content ?? Buffer.alloc(0)),
    });
  });
  return record({ Type: attribute.children()[0]?.oid() ?? [], Value: [pairs] });
}

/** tls.X509KeyPair: the key must belong to the first certificate. */
function keyPair(certificateText: string, keyText: string): Value {
  const chain = pemOrDer(certificateText, 'CERTIFICATE');
  const keyBlock = pemOrDer(keyText, 'PRIVATE KEY')[0];
  const [leaf] = chain[0] === undefined ? [] : parseCertificates(chain[0].der);
  if (leaf === undefined || keyBlock === undefined) throw new BuiltinError('tls: failed to find any PEM data');
  const key = attempt('tls: failed to parse private key', () => createPrivateKey(keyBlock.text));
  // Not KeyObject.equals: where the kinds differ it leaves an error with OpenSSL, which the next key to be read stumbles over.
  const ownPublicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const itsPublicKey = attempt('tls: failed to parse the public key', () =>
    createPublicKey({ key: leaf.publicKeyInfo.raw, format: 'der', type: 'spki' }).export({
      type: 'spki',
      format: 'der',
    }),
  );
  if (!ownPublicKey.equals(itsPublicKey)) throw new BuiltinError('tls: private key does not match public key');
  return record({
    Certificate: chain.map(({ der }) => base64(der)),
    PrivateKey: privateKeyValue(key),
    SupportedSignatureAlgorithms: null,
    OCSPStaple: null,
    SignedCertificateTimestamps: null,
    Leaf: certificateValue(leaf, false),
  });
}

/** The blocks of PEM that are of the type or end with it; PEM and DER may come in base64. */
function pemOrDer(text: string, type: string): { der: Buffer; text: string }[] {
  const bytes = text.startsWith('-----BEGIN ') ? Buffer.from(text) : decodeBase64(text);
  const inner = bytes.toString('latin1');
  if (inner.startsWith('-----BEGIN ')) return decodePemAll(inner).filter((block) => block.type.endsWith(type));
  return [{ der: bytes, text: `-----BEGIN ${type}-----\n${bytes.toString('base64')}\n-----END ${type}-----\n` }];
}
