// Makes certificates: a CA, and server and client certificates under it. ECDSA P-256, X.509 v3 as RFC 5280 wants it.
import 'reflect-metadata'; // @peculiar/x509 needs it loaded first
import { createPrivateKey, createPublicKey, KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its private key (PKCS#8), both PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A new private key, PKCS#8 PEM. */
export async function makeKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A CA that signs itself and can sign nothing but end certificates. */
export async function issueCa(commonName: string, validity: Validity): Promise<Identity> {
  const key = await makeKey();
  const keys = { privateKey: privateKeyOf(key), publicKey: publicKeyOf(key) };
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [commonName] }],
      keys,
      signingAlgorithm: ALGORITHM,
      ...validity,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key };
}

/** A server certificate for DNS names and IP addresses; PEM. */
export function issueServer(
  ca: Identity,
  key: string,
  subject: { commonName: string; hostnames: readonly string[] },
  validity: Validity,
): Promise<string> {
  const names = subject.hostnames.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }) as const);
  return issue(ca, key, subject.commonName, validity, [
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension(names),
  ]);
}

/** A client certificate; PEM. */
export function issueClient(ca: Identity, key: string, commonName: string, validity: Validity): Promise<string> {
  return issue(ca, key, commonName, validity, [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])]);
}

async function issue(
  ca: Identity,
  key: string,
  commonName: string,
  validity: Validity,
  extensions: readonly Extension[],
): Promise<string> {
  const issuer = new X509Certificate(ca.certificate);
  const publicKey = publicKeyOf(key);
  const certificate = await X509CertificateGenerator.create(
    {
      subject: [{ CN: [commonName] }],
      issuer: issuer.subjectName,
      publicKey,
      signingKey: privateKeyOf(ca.key),
      signingAlgorithm: ALGORITHM,
      ...validity,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        await SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await AuthorityKeyIdentifierExtension.create(publicKeyOf(ca.key), false, webcrypto),
        ...extensions,
      ],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

function privateKeyOf(pem: string): webcrypto.CryptoKey {
  return createPrivateKey(pem).toCryptoKey(ALGORITHM, false, ['sign']);
}

function publicKeyOf(pem: string): webcrypto.CryptoKey {
  return createPublicKey(pem).toCryptoKey(ALGORITHM, true, ['verify']);
}
