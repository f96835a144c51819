// Certificates for tests of listeners: two CAs, so that one can be the wrong one.
import { issueCa, issueClient, issueServer, makeKey, type Validity } from '../../../src/kube/certificate-issuer.ts';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificates {
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;
  /** Of another CA. */
  readonly stranger: Pair;
  readonly otherCa: string;
  readonly otherServer: Pair;
}

export async function testCertificates(): Promise<TestCertificates> {
  const validity: Validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const [ca, other] = [await issueCa('test CA', validity), await issueCa('other CA', validity)];
  const server = async (issuer: typeof ca): Promise<Pair> => {
    const key = await makeKey();
    const subject = { commonName: 'server', hostnames: ['localhost', '127.0.0.1'] };
    return { key, cert: await issueServer(issuer, key, subject, validity) };
  };
  const client = async (issuer: typeof ca, name: string): Promise<Pair> => {
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
