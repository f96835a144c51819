// A plain HTTP listener for what is not exposed to the network at large: the query API on loopback, metrics and health.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen } from './listen.ts';

export interface HttpListenerOptions {
  /** The settings section that names host and port, for messages: `api`. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface HttpListener {
  readonly port: number;
  /** Accepts nothing more, lets answers in progress end, and after `graceMs` cuts what is left (followers never end). */
  close(graceMs?: number): Promise<void>;
}

const GRACE_MS = 1000;
/** Most time for the headers of a request, and for a whole one: these listeners take no bodies. */
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 1024;

/** Opens the listener. Throws LISTEN_FAILED. */
export async function openHttpListener({ name, host, port, handler }: HttpListenerOptions): Promise<HttpListener> {
  const server = createServer({ headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }, handler);
  server.maxConnections = MAX_CONNECTIONS;
  const opened = await listen(server, name, host, port);
  return {
    port: opened,
    close: (graceMs = GRACE_MS) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
