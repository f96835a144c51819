// Who the other replicas are: found by name, asked who they are, and offered to queries as replicas. Whoever is expected and cannot be
// asked is named with the reason.
import { pageParameters } from '../index/query.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { PeerClient, type PeerTls } from './peer-client.ts';
import {
  MAX_ANSWER_BYTES,
  MAX_ENTRY_BYTES,
  PEER_PROTOCOL,
  type PeerAnswer,
  type PeerAsk,
  readEntryAnswer,
  readLookedUp,
  readPage,
  unusable,
} from './peer-protocol.ts';
import type { Replica } from './replica.ts';

/** A replica that is not in an answer. */
export interface Missing {
  /** Its name, or its address while nobody knows the name. */
  readonly replica: string;
  readonly why: string;
}

export interface Members {
  readonly replicas: readonly Replica[];
  readonly missing: readonly Missing[];
}

export interface PeersOptions {
  /** Of this process, random. */
  readonly instance: string;
  /** `<domain>/<cluster>`. */
  readonly cluster: string;
  /** Of this replica. */
  readonly name: string;
  /** DNS name whose addresses are the replicas; empty when there is none. */
  readonly service: string;
  readonly port: number;
  /** More of them, `host:port`. */
  readonly addresses: readonly string[];
  /** Names of replicas that should answer; each is found at `<name>.<service>`. */
  readonly expected: readonly string[];
  readonly timeoutMs: number;
  readonly tls: PeerTls;
  readonly serverName: string;
  /** All addresses of a DNS name. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly counted: (outcome: 'answered' | 'failed') => void;
}

export interface Peers {
  members(): Promise<Members>;
  setTls(tls: PeerTls): void;
  close(): void;
}

/** More are not asked, and said to be missing. */
const MAX_PEERS = 98;

/** How long an answer of the DNS, and a replica that did not answer in time, are remembered, in milliseconds. */
const REMEMBERED_MS = 5000;

export function createPeers(options: PeersOptions): Peers {
  return new Directory(options);
}

interface Known {
  readonly name: string;
  readonly instance: string;
}

interface Addresses {
  /** `host:port` → name by which DNS gave it, if any. */
  readonly found: ReadonlyMap<string, string | undefined>;
  readonly missing: readonly Missing[];
}

class Directory implements Peers {
  readonly #options: PeersOptions;
  readonly #client: PeerClient;
  readonly #known = new Map<string, Known>();
  /** Addresses that did not answer in time, until when they are not tried again, and what was said. */
  readonly #silent = new Map<string, { readonly until: number; readonly why: string }>();
  #addresses: { readonly until: number; readonly result: Promise<Addresses> } | undefined;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#client = new PeerClient(options.tls, options.serverName);
  }

  setTls(tls: PeerTls): void {
    this.#client.setTls(tls);
  }

  close(): void {
    this.#client.close();
  }

  async members(): Promise<Members> {
    const { found, missing: lost } = await this.#look();
    const missing: Missing[] = [...lost];
    const named = new Map<string, { readonly address: string; readonly instance: string }[]>();
    await Promise.all(
      [...found].map(async ([address, hint]) => {
        try {
          const { name, instance } = await this.#identity(address);
          const others = named.get(name) ?? [];
          // One process under two addresses (IPv4 and IPv6) is one replica.
          if (!others.some((other) => other.instance === instance)) named.set(name, [...others, { address, instance }]);
        } catch (error) {
          missing.push({ replica: this.#known.get(address)?.name ?? hint ?? address, why: messageOf(error) });
        }
      }),
    );
    const replicas: Replica[] = [];
    for (const [name, processes] of named) {
      const others = processes.filter(({ instance }) => instance !== this.#options.instance);
      const [one] = others;
      if (one === undefined) continue;
      if (name === this.#options.name || others.length > 1) {
        const at = others.map(({ address }) => address).join(', ');
        const whose = name === this.#options.name ? 'which is this one' : 'all of them';
        missing.push({
          replica: name,
          why: `replicas that call themselves ${name} (${whose}) are at ${at}: none is asked`,
        });
      } else replicas.push(this.#replica(name, one.address));
    }
    for (const name of this.#options.expected) {
      if (name === this.#options.name || named.has(name) || missing.some(({ replica }) => replica === name)) continue;
      missing.push({ replica: name, why: `no address under ${name}.${this.#options.service}` });
    }
    replicas.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { replicas, missing };
  }

  #look(): Promise<Addresses> {
    const now = this.#options.now();
    if (this.#addresses === undefined || this.#addresses.until <= now)
      this.#addresses = { until: now + REMEMBERED_MS, result: this.#resolve() };
    return this.#addresses.result;
  }

  /** Never rejects. */
  async #resolve(): Promise<Addresses> {
    const { service, port, addresses, expected, resolve, timeoutMs } = this.#options;
    const found = new Map<string, string | undefined>(addresses.map((address) => [address, undefined]));
    const missing: Missing[] = [];
    const add = async (dnsName: string, hint: string | undefined): Promise<void> => {
      for (const ip of await within(resolve(dnsName), timeoutMs)) {
        const address = `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
        if (hint !== undefined || !found.has(address)) found.set(address, hint);
      }
    };
    if (service !== '') {
      await Promise.all([
        add(service, undefined).catch((error: unknown) => {
          missing.push({ replica: service, why: `its addresses cannot be looked up: ${messageOf(error)}` });
        }),
        // A name without an address is said to be missing by whoever looks for it.
        ...expected.map((name) => add(`${name}.${service}`, name).catch(() => undefined)),
      ]);
    }
    const all = [...found];
    if (all.length > MAX_PEERS + 1) {
      missing.push({
        replica: service,
        why: `it has ${all.length} addresses, more than the ${MAX_PEERS} that are asked`,
      });
    }
    return { found: new Map(all.slice(0, MAX_PEERS + 1)), missing };
  }

  async #identity(address: string): Promise<Known> {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    await this.#ask(address, { type: 'name' }, { maxBytes: MAX_ANSWER_BYTES });
    return this.#known.get(address) as Known;
  }

  async #ask(
    address: string,
    ask: PeerAsk,
    limits: { readonly maxBytes: number; readonly moreMs?: number; readonly signal?: AbortSignal | undefined },
  ): Promise<PeerAnswer> {
    const { instance, cluster, timeoutMs, now, counted } = this.#options;
    const silent = this.#silent.get(address);
    if (silent !== undefined && silent.until > now()) throw unusable(silent.why);
    this.#silent.delete(address);
    const question = { protocol: PEER_PROTOCOL, instance, cluster, ask };
    const { maxBytes, moreMs = 0, signal } = limits;
    try {
      const answer = await this.#client.ask(address, question, { timeoutMs: timeoutMs + moreMs, maxBytes, signal });
      this.#check(answer);
      const before = this.#known.get(address);
      this.#known.set(address, { name: answer.replica, instance: answer.instance });
      if (before !== undefined && before.name !== answer.replica) throw unusable(`${address} is ${answer.replica} now`);
      counted('answered');
      return answer;
    } catch (error) {
      if (signal?.aborted !== true) this.#failed(address, error);
      throw error;
    }
  }

  #check({ protocol, cluster, version }: PeerAnswer): void {
    if (protocol !== PEER_PROTOCOL) {
      throw unusable(
        `it speaks version ${protocol} of the peer protocol (Sealgate ${version}), not ${PEER_PROTOCOL}: finish the upgrade`,
      );
    }
    if (cluster !== this.#options.cluster)
      throw unusable(`it is a replica of ${cluster}, not of ${this.#options.cluster}`);
  }

  #failed(address: string, error: unknown): void {
    this.#options.counted('failed');
    // A refusal is quick to hear again; silence costs each query its whole time.
    const why = messageOf(error);
    if (why.startsWith('no answer within'))
      this.#silent.set(address, { until: this.#options.now() + REMEMBERED_MS, why });
    this.#addresses = undefined;
  }

  #replica(name: string, address: string): Replica {
    const { timeoutMs } = this.#options;
    return {
      name,
      search: async (query, { waitMs = 0, signal } = {}) => {
        const parameters = pageParameters(query).toString();
        // Less than the deadline, so that what was found by then arrives within it.
        const ask: PeerAsk = { type: 'search', parameters, softLimitMs: timeoutMs / 2, waitMs };
        const { answer } = await this.#ask(address, ask, { maxBytes: MAX_ANSWER_BYTES, moreMs: waitMs, signal });
        return readPage(answer);
      },
      lookUp: async (lookup) => {
        const { answer } = await this.#ask(address, { type: 'lookup', lookup }, { maxBytes: MAX_ANSWER_BYTES });
        return readLookedUp(answer, lookup);
      },
      entry: async (shard, seq) => {
        const ask: PeerAsk = { type: 'entry', seq, ...(shard === undefined ? {} : { shard }) };
        const { answer } = await this.#ask(address, ask, { maxBytes: MAX_ENTRY_BYTES });
        return readEntryAnswer(answer);
      },
    };
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SealgateError('PEER_UNAVAILABLE', `no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
