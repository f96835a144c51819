// Several replicas in one process: each with a ledger on disk, its index and query threads, its peer listener and its API.
import { randomUUID } from 'node:crypto';
import { createFederation, type Federation } from '../../../src/api/federation.ts';
import { createPeerHandler } from '../../../src/api/peer-handler.ts';
import { MAX_ASK_BYTES, PEER_PATH } from '../../../src/api/peer-protocol.ts';
import { createPeers, type Peers, type PeersOptions } from '../../../src/api/peers.ts';
import { ownReplica, type Replica } from '../../../src/api/replica.ts';
import type { HttpHandler } from '../../../src/lib/http.ts';
import { openListener, type TlsListener } from '../../../src/server/listener.ts';
import { type PeerPair, peerCertificates } from '../../support/peer-certificates.ts';
import { TestApi } from './support.ts';

const CLUSTER = 'example.org/test';
const NAME = 'replicas.test';
const LIMITS = {
  maxConnections: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  maxInFlightBytes: 64 * 2 ** 20,
};

export function listenForPeers(handler: HttpHandler, pair: PeerPair, port = 0): Promise<TlsListener> {
  return openListener({
    ...{ name: 'peers', host: '127.0.0.1', port, limits: LIMITS, log: { error: () => undefined } },
    material: { cert: pair.cert, key: pair.key, clientCa: pair.ca },
    clientCertificates: 'required',
    routes: [{ method: 'POST', path: PEER_PATH, bodyLimitBytes: MAX_ASK_BYTES, handler }],
    metrics: { rejected: () => undefined, opened: () => undefined },
  });
}

export class TestReplica {
  readonly name: string;
  readonly asked = { answered: 0, failed: 0 };
  api!: TestApi;
  peers!: Peers;
  listener!: TlsListener;
  readonly #instance = randomUUID();
  #stopping = new AbortController();
  #own: Replica | undefined;
  pair!: PeerPair;
  /** Where it looks for others; more may be added before the first question. */
  addresses: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** All of them know of all, by addresses that are filled in once they are known. */
  static async start(names: readonly string[], more: Partial<PeersOptions> = {}): Promise<TestReplica[]> {
    const pair = await peerCertificates(NAME);
    const replicas = names.map((name) => new TestReplica(name));
    const addresses: string[] = [...(more.addresses ?? [])];
    for (const replica of replicas) await replica.#start(pair, { ...more, addresses });
    for (const { listener } of replicas) addresses.push(`127.0.0.1:${listener.port}`);
    return replicas;
  }

  async #start(pair: PeerPair, more: Partial<PeersOptions>): Promise<void> {
    this.pair = pair;
    this.addresses = more.addresses as string[];
    const { name } = this;
    // Made before the API, which has to know of it, and asked for after the ledger is open.
    const own: Replica = {
      name,
      search: (...args) => this.#mine().search(...args),
      lookUp: (...args) => this.#mine().lookUp(...args),
      entry: (...args) => this.#mine().entry(...args),
    };
    this.peers = createPeers({
      ...{ instance: this.#instance, cluster: CLUSTER, name, service: '', port: 0, addresses: [], expected: [] },
      ...{ timeoutMs: 10_000, tls: pair, serverName: NAME, now: () => performance.now() },
      resolve: () => Promise.reject(new Error('there is no DNS')),
      counted: (outcome) => void this.asked[outcome]++,
      ...more,
    });
    const federation: Federation = createFederation({ own, peers: this.peers, cluster: CLUSTER });
    this.api = await TestApi.start({ federation, heartbeatMs: 200 }, `${CLUSTER}/${name}`);
    await this.listen();
  }

  #mine(): Replica {
    const { queries, view, ledger } = this.api;
    this.#own ??= ownReplica({ name: this.name, queries, view, head: () => ledger.head() });
    return this.#own;
  }

  async listen(port = 0): Promise<void> {
    this.#stopping = new AbortController();
    const handler = createPeerHandler({
      ...{ own: this.#mine(), instance: this.#instance, cluster: CLUSTER, version: '1.2.3' },
      ...{ stopping: this.#stopping.signal, log: this.api.log },
    });
    this.listener = await listenForPeers(handler, this.pair, port);
  }

  /** Answers no peer any more; its own API goes on. */
  async deafen(): Promise<number> {
    const { port } = this.listener;
    this.#stopping.abort();
    await this.listener.drain(0);
    return port;
  }

  async stop(): Promise<void> {
    await this.deafen();
    this.peers.close();
    await this.api.stop();
  }
}
