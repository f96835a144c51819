// Who is at the other end of a TLS connection.
import type { TLSSocket } from 'node:tls';
import type { Peer } from '../lib/http.ts';

/** The peer of a connection, or undefined when it presented a certificate that no CA of ours vouches for. */
export function peerOf(socket: TLSSocket): Peer | undefined {
  const address = socket.remoteAddress ?? '';
  const certificate = socket.getPeerCertificate();
  // Node gives an empty object where there is none.
  if (certificate.subject === undefined) return { address };
  if (!socket.authorized) return undefined;
  return {
    address,
    certificate: {
      // Of several, the last, as Go has it.
      commonName: listOf(certificate.subject.CN).at(-1) ?? '',
      organizations: listOf(certificate.subject.O),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
  };
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}
