// Part of the composition root (serve.ts): what replicas need of one another.
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { createFederation, type Federation } from './api/federation.ts';
import type { PeerTls } from './api/peer-client.ts';
import { createPeerHandler } from './api/peer-handler.ts';
import { MAX_ASK_BYTES, PEER_PATH } from './api/peer-protocol.ts';
import { createPeers } from './api/peers.ts';
import { type OwnParts, ownReplica } from './api/replica.ts';
import type { Settings } from './config/schema.ts';
import type { TlsMaterial as CertificateMaterial } from './kube/certificate-files.ts';
import { openCertificates } from './kube/certificates.ts';
import type { Log } from './lib/log.ts';
import { VERSION } from './lib/version.ts';
import { openListener } from './server/listener.ts';
import type { Metrics } from './server/metrics.ts';

interface PeerParts extends Pick<OwnParts, 'queries' | 'view' | 'head'> {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Takes what stops a part, in the order in which the parts started. */
  readonly started: { add(name: string, stop: () => Promise<void> | void): void };
}

/** Most time for questions of other replicas that are being answered when this one stops. */
const PEERS_GRACE_MS = 2000;

/** The other replicas: the listener on which they ask this one, and the query over all of them. */
export async function openPeers(parts: PeerParts): Promise<{ federation: Federation; port: number }> {
  const { settings, metrics, started } = parts;
  const log = parts.log.child({ part: 'peers' });
  const { host, port, service, addresses, expected, timeoutMs, tls } = settings.peers;
  const cluster = `${settings.identity.domain}/${settings.identity.cluster}`;
  const own = ownReplica({ ...parts, name: settings.identity.replica });
  const instance = randomUUID();
  const stopping = new AbortController();
  let onChange = (_: CertificateMaterial): void => undefined;
  const certificates = await openCertificates({
    ...{ name: 'peers', dir: join(settings.dataDir, 'tls', 'peers'), hostnames: [], client: true },
    validityDays: settings.tls.validityDays,
    caValidityDays: settings.tls.caValidityDays,
    given: { ...tls, ...(tls.caFile === undefined ? {} : { clientCaFile: tls.caFile }) },
    now: Date.now,
    onChange: ({ material, expires }) => {
      log.info({ expires }, 'certificates have changed');
      metrics.certificateExpires('peers', expires);
      onChange(material);
    },
    onProblem: (error) => log.error({ error }, 'a certificate cannot be used'),
  });
  started.add('the peers certificates', () => certificates.close());
  const { material, expires } = certificates.current;
  metrics.certificateExpires('peers', expires);
  const listener = await openListener({
    ...{ name: 'peers', host, port, material, clientCertificates: 'required', limits: settings.server, log },
    routes: [
      {
        ...{ method: 'POST', path: PEER_PATH, bodyLimitBytes: MAX_ASK_BYTES },
        handler: createPeerHandler({ own, instance, cluster, version: VERSION, stopping: stopping.signal, log }),
      },
    ],
    metrics: metrics.listener('peers'),
  });
  const peers = createPeers({
    ...{ instance, cluster, name: own.name, service, addresses, expected, timeoutMs, tls: peerTls(material) },
    port: port === 0 ? listener.port : port,
    serverName: tls.serverName === '' ? service : tls.serverName,
    resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
    now: () => performance.now(),
    counted: metrics.peerAsked,
  });
  onChange = (changed) => {
    listener.setMaterial(changed);
    peers.setTls(peerTls(changed));
  };
  started.add('peers', async () => {
    stopping.abort();
    await listener.drain(PEERS_GRACE_MS);
    peers.close();
  });
  return { federation: createFederation({ own, peers, cluster }), port: listener.port };
}

function peerTls({ cert, key, clientCa = '' }: CertificateMaterial): PeerTls {
  return { cert, key, ca: clientCa };
}
