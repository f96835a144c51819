// Clients for tests of listeners: one that knows HTTP, and one that writes what it is told.
import { Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';

export interface ClientTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
}

/** One request on a connection of its own, unless an agent is given. */
export function call(port: number, tls: ClientTls, options: Call = {}): Promise<Answer> {
  const { method = 'POST', path = '/v1/test', body = '{}', headers = {}, agent = new Agent() } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent, ...tls });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.end(body);
  });
}

export interface RawConnection {
  readonly socket: TLSSocket;
  /** Everything received so far. */
  text(): string;
  /** Resolves with everything received once the other side has closed, be it by a reset. */
  readonly closed: Promise<string>;
}

/** A TLS connection on which a test writes its own bytes. */
export function raw(port: number, tls: ClientTls): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port, ...tls });
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    const closed = new Promise<string>((done) => socket.once('close', () => done(text)));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject).on('error', () => {});
      resolve({ socket, text: () => text, closed });
    });
  });
}
