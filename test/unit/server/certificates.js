// Certificates for tests of listeners: two CAs, so that one can be the wrong one.
import { issueCa, issueClient, issueServer, makeKey } from '../../../src/kube/certificate-issuer.js';
export async function testCertificates() {
    const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
    const [ca, other] = [await issueCa('test CA', validity), await issueCa('other CA', validity)];
    const server = async (issuer) => {
        const key = await makeKey();
        const subject = { commonName: 'server', hostnames: ['localhost', '127.0.0.1'] };
        return { key, cert: await issueServer(issuer, key, subject, validity) };
    };
    const client = async (issuer, name) => {
        const key = await makeKey();
        return { key, cert: await issueClient(issuer, key, name, validity) };
    };
    return {
        ca: ca.certificate,
        server: await server(ca),
        client: await client(ca, 'api-server'),
        stranger: await client(other, 'stranger'),
        otherCa: other.certificate,
        otherServer: await server(other),
    };
}
