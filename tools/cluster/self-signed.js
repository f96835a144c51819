// A throwaway server certificate for tools and tests that stand where Sealgate would.
import 'reflect-metadata'; // @peculiar/x509 needs it loaded first
import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
/** A self-signed certificate for an IP address, valid for a day, and its key; both PEM. */
export async function selfSigned(ip) {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const now = Date.now();
    const certificate = await X509CertificateGenerator.createSelfSigned({
        name: `CN=${ip}`,
        keys,
        signingAlgorithm: algorithm,
        notBefore: new Date(now - 60_000),
        notAfter: new Date(now + 86_400_000),
        extensions: [
            new SubjectAlternativeNameExtension([{ type: 'ip', value: ip }]),
            new BasicConstraintsExtension(true),
        ],
    }, webcrypto);
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
    const body = der.toString('base64').replace(/(.{64})(?!$)/g, '$1\n');
    return {
        certificate: certificate.toString('pem'),
        key: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    };
}
