// A TLS listener for a few routes, each an HttpHandler: who the client is, how much it may send and how long it may take are
// settled here. On node:https directly: these are the hot routes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { Peer } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import { ByteBudget } from './body.ts';
import { BodyRoom } from './body-room.ts';
import { Exchange, type Host, type Route } from './exchange.ts';
import { listen } from './listen.ts';
import { peerOf } from './peer.ts';
import { type RejectionReason, rawRejection, rejectionOfParser } from './rejection.ts';

/** PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** The CAs of client certificates. */
  readonly clientCa?: string;
}

/** `optional`: one that is presented must be good. `required`: without one there is no connection. */
export type ClientCertificates = 'none' | 'optional' | 'required';

export interface ListenerLimits {
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxInFlightBytes: number;
}

export interface ListenerMetrics {
  /** A connection or request that no handler saw. */
  rejected(reason: RejectionReason): void;
  /** Once: what can be read from now on. */
  opened(listener: Pick<TlsListener, 'inFlight' | 'inFlightBytes'>): void;
}

export interface ListenerOptions {
  /** The section of its settings, for messages: `admission`. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly material: TlsMaterial;
  readonly clientCertificates: ClientCertificates;
  readonly routes: readonly Route[];
  readonly limits: ListenerLimits;
  readonly metrics: ListenerMetrics;
  readonly log: Pick<Log, 'error'>;
}

export interface TlsListener {
  /** The port that it listens on. */
  readonly port: number;
  /** Requests between their headers and the end of their answer. */
  readonly inFlight: number;
  /** What those take of maxInFlightBytes. */
  readonly inFlightBytes: number;
  /** Takes other certificates for new connections. Throws CERTIFICATE_INVALID; the old ones stay then. */
  setMaterial(material: TlsMaterial): void;
  /** From now on each answer ends its connection, so that clients go elsewhere; new connections and requests are still taken. */
  retire(): void;
  /**
   * Accepts no new connection, answers what was begun, closes idle connections, and after `graceMs` cuts what is left.
   * Resolves with the number of requests that were cut. The second call returns what the first did.
   */
  drain(graceMs: number): Promise<number>;
}

/** Opens the listener. Throws LISTEN_FAILED or CERTIFICATE_INVALID. */
export async function openListener(options: ListenerOptions): Promise<TlsListener> {
  const listener = new Listener(options);
  await listener.open();
  return listener;
}

/** While draining, how long an idle connection may bring one more request: its client cannot know yet. */
const IDLE_GRACE_MS = 1000;

interface Connection {
  /** Null until its first request. */
  peer: Peer | undefined | null;
  /** More than one only when the client does not wait for answers (pipelining). */
  readonly exchanges: Set<Exchange>;
  /** Why it ended was counted. */
  counted: boolean;
}

class Listener implements TlsListener, Host {
  readonly name: string;
  readonly routes: ReadonlyMap<string, Route>;
  readonly budget: ByteBudget;
  readonly room = new BodyRoom();
  readonly log: Pick<Log, 'error'>;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  #inFlight = 0;
  #retired = false;
  #drained: Promise<number> | undefined;

  constructor(options: ListenerOptions) {
    this.name = options.name;
    this.routes = new Map(options.routes.map((route) => [route.path, route]));
    this.budget = new ByteBudget(options.limits.maxInFlightBytes);
    this.log = options.log;
    this.#options = options;
    this.#server = this.#createServer();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get inFlightBytes(): number {
    return this.budget.used;
  }

  get closing(): boolean {
    return this.#retired;
  }

  count(reason: RejectionReason): void {
    this.#options.metrics.rejected(reason);
  }

  async open(): Promise<void> {
    const { host, metrics, port } = this.#options;
    await listen(this.#server, this.name, host, port);
    this.#server.on('error', (error) => this.log.error({ error }, `the ${this.name} listener has a problem`));
    metrics.opened(this);
  }

  setMaterial(material: TlsMaterial): void {
    try {
      this.#server.setSecureContext(contextOptions(this.#options, material));
    } catch (error) {
      throw unusable(this.name, error);
    }
  }

  retire(): void {
    this.#retired = true;
  }

  drain(graceMs: number): Promise<number> {
    this.retire();
    this.#drained ??= this.#drain(graceMs);
    return this.#drained;
  }

  async #drain(graceMs: number): Promise<number> {
    // Not http's own close(), which cuts idle connections at once: a client may just be sending on one.
    const closed = new Promise<void>((resolve) => {
      NetServer.prototype.close.call(this.#server, () => resolve());
    });
    const idle = setTimeout(() => this.#closeIdle(), Math.min(IDLE_GRACE_MS, graceMs / 2));
    let grace: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      grace = setTimeout(resolve, graceMs);
    });
    await Promise.race([closed, late]);
    clearTimeout(idle);
    clearTimeout(grace);
    const cut = this.#inFlight;
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#server.close(); // also ends http's own timer
    return cut;
  }

  #closeIdle(): void {
    for (const [socket, { exchanges }] of this.#connections) if (exchanges.size === 0) socket.destroySoon();
  }

  #createServer(): Server {
    const { clientCertificates, limits, material } = this.#options;
    let server: Server;
    try {
      server = createServer({
        ...contextOptions(this.#options, material),
        requestCert: clientCertificates !== 'none',
        rejectUnauthorized: clientCertificates === 'required',
        handshakeTimeout: limits.headersTimeoutMs,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: Math.max(limits.requestTimeoutMs, limits.headersTimeoutMs),
        keepAliveTimeout: limits.keepAliveTimeoutMs,
        // Headers and requests that take too long are looked for at this interval.
        connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
      });
    } catch (error) {
      throw unusable(this.name, error);
    }
    server.maxConnections = limits.maxConnections;
    server.on('drop', () => this.count('connections'));
    server.on('tlsClientError', (error, socket) => this.count(handshakeReason(error, socket)));
    server.on('secureConnection', (socket) => this.#connect(socket));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#onClientError(error, socket as Socket));
    server.on('request', (message, response) => void this.#begin(message, response));
    // Expect: 100-continue: a client that is refused never sends its body.
    server.on('checkContinue', (message, response) => {
      if (this.#begin(message, response)) response.writeContinue();
    });
    return server;
  }

  #connect(socket: TLSSocket): void {
    const connection: Connection = { peer: null, exchanges: new Set(), counted: false };
    this.#connections.set(socket, connection);
    socket.once('close', () => {
      this.#connections.delete(socket);
      // Before version 26, Node tells only the first response of a connection that it has closed.
      for (const exchange of connection.exchanges) this.#end(exchange, connection);
    });
  }

  /** Returns whether the request's body is wanted. */
  #begin(message: IncomingMessage, response: ServerResponse): boolean {
    const connection = this.#connections.get(message.socket);
    if (connection === undefined) {
      message.destroy();
      return false;
    }
    if (connection.peer === null) connection.peer = peerOf(message.socket as TLSSocket);
    const exchange = new Exchange(this, message, response);
    this.#inFlight++;
    connection.exchanges.add(exchange);
    response.on('close', () => this.#end(exchange, connection));
    return exchange.begin(connection.peer);
  }

  #end(exchange: Exchange, connection: Connection): void {
    if (!connection.exchanges.delete(exchange)) return;
    this.#inFlight--;
    exchange.end(connection.counted);
  }

  /** What the parser could not take, or not in time; also a failed handshake, which `tlsClientError` has counted. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.#connections.get(socket);
    const rejection = rejectionOfParser(error.code);
    if (connection === undefined || rejection === undefined) {
      socket.destroy();
      return;
    }
    if (!connection.counted) this.count(rejection.reason);
    connection.counted = true;
    // In the middle of another answer it would be taken for a part of that.
    const silent = [...connection.exchanges].every((exchange) => exchange.reading);
    if (silent && socket.writable && rejection.reason !== 'cut') {
      socket.write(rawRejection(rejection));
      socket.destroySoon();
    } else socket.destroy();
  }
}

function contextOptions(options: ListenerOptions, { cert, key, clientCa }: TlsMaterial): SecureContextOptions {
  if (options.clientCertificates === 'none') return { cert, key, minVersion: 'TLSv1.2' };
  if (clientCa === undefined) {
    // Node would trust every public CA instead.
    throw new SealgateError(
      'CERTIFICATE_INVALID',
      `the ${options.name} listener asks for client certificates but has no CA for them: set ${options.name}.tls.clientCaFile`,
    );
  }
  return { cert, key, ca: clientCa, minVersion: 'TLSv1.2' };
}

function unusable(name: string, error: unknown): SealgateError {
  if (error instanceof SealgateError) return error;
  const message = `the ${name} listener cannot use its certificate (${messageOf(error)}): replace it`;
  return new SealgateError('CERTIFICATE_INVALID', message, { cause: error });
}

function handshakeReason(error: NodeJS.ErrnoException, socket: TLSSocket): RejectionReason {
  const refused = error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' || socket.authorizationError != null;
  return refused ? 'client-certificate' : 'tls';
}
