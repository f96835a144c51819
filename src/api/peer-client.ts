// Asks another replica one question over mutual TLS, within a deadline and a size.
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { SealgateError } from '../lib/errors.ts';
import { PEER_PATH, type PeerAnswer, type PeerQuestion, readAnswer, readRefusal, unusable } from './peer-protocol.ts';

/** PEM. */
export interface PeerTls {
  readonly cert: string;
  readonly key: string;
  /** The CA of the replicas' certificates, and of nothing else. */
  readonly ca: string;
}

export interface AskLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** Connections to one replica at a time: followers hold one each. */
const MAX_SOCKETS = 64;

export class PeerClient {
  readonly #serverName: string;
  #agent: Agent;

  /** `serverName`: the name that the certificate of each replica has to bear, whatever its address. */
  constructor(tls: PeerTls, serverName: string) {
    this.#serverName = serverName;
    this.#agent = this.#agentOf(tls);
  }

  /** For connections from now on; those in use go on. */
  setTls(tls: PeerTls): void {
    this.#agent = this.#agentOf(tls);
  }

  /** `address` is `host:port`. Rejects with PEER_UNAVAILABLE, whose message says why, or with what the replica refused. */
  async ask(address: string, question: PeerQuestion, limits: AskLimits): Promise<PeerAnswer> {
    const deadline = AbortSignal.timeout(limits.timeoutMs);
    const signal = limits.signal === undefined ? deadline : AbortSignal.any([deadline, limits.signal]);
    try {
      return await this.#post(address, Buffer.from(JSON.stringify(question)), limits.maxBytes, signal);
    } catch (error) {
      if (deadline.aborted) throw failure(`no answer within ${limits.timeoutMs / 1000} s`, error);
      if (error instanceof SealgateError) throw error;
      throw failure(reasonOf(error), error);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #agentOf(tls: PeerTls): Agent {
    return new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...tls, minVersion: 'TLSv1.2' });
  }

  async #post(address: string, body: Buffer, maxBytes: number, signal: AbortSignal): Promise<PeerAnswer> {
    const first = await this.#send(address, body, signal);
    const bytes = await read(first, maxBytes);
    if (first.statusCode === 200) return readAnswer(bytes);
    throw readRefusal(bytes, first.statusCode ?? 0);
  }

  #send(address: string, body: Buffer, signal: AbortSignal, again = true): Promise<IncomingMessage> {
    const { hostname, port } = new URL(`https://${address}`);
    return new Promise((resolve, reject) => {
      const sent = request({
        host: hostname.replace(/^\[|\]$/g, ''),
        port: port === '' ? 443 : Number(port),
        method: 'POST',
        path: PEER_PATH,
        headers: { 'content-type': 'application/json', 'content-length': body.length },
        servername: this.#serverName,
        agent: this.#agent,
        signal,
      });
      sent.once('response', resolve);
      sent.once('error', (error: NodeJS.ErrnoException) => {
        // A connection that was kept may have been closed meanwhile. To ask again does no harm: a question only reads.
        const stale = again && sent.reusedSocket && !signal.aborted;
        if (stale) this.#send(address, body, signal, false).then(resolve, reject);
        else reject(error);
      });
      sent.end(body);
    });
  }
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      response.destroy();
      throw unusable(`its answer is larger than ${maxBytes} bytes: ask that replica itself`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

const REASONS: Readonly<Partial<Record<string, string>>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection broke',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'no such name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it does not accept our certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not accept our certificate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_SIGNATURE_FAILURE: 'its certificate is of another CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of another CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of another CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of another CA',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is of another CA',
  CERT_HAS_EXPIRED: 'its certificate has ended',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

function failure(why: string, cause: unknown): SealgateError {
  return new SealgateError('PEER_UNAVAILABLE', why, { cause });
}
