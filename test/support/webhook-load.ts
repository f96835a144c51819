// Calls a webhook as kube-apiserver does: HTTP/1.1 on connections that are kept, one request at a time on each, none repeated.
import { randomUUID } from 'node:crypto';
import type { ClientRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Called {
  readonly uid: string;
  /** Allowed or denied with a record; else why there was no verdict. */
  readonly verdict: boolean;
  readonly why: string;
  /** Port of the client's side of the connection. */
  readonly localPort: number | undefined;
}

export interface Load {
  readonly calls: readonly Called[];
  /** Requests that were sent and not answered, by the port of the client's side. */
  waiting(): (number | undefined)[];
  /** Ends it once the requests in flight are answered. */
  stop(): Promise<void>;
}

const PAUSE_MS = 2;

export function startLoad(options: { port: number; ca: string; review: string; clients: number }): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: options.clients, ca: options.ca });
  const calls: Called[] = [];
  const inFlight = new Set<ClientRequest>();
  let running = true;
  const one = (): Promise<Called> => {
    const uid = randomUUID();
    const review = JSON.parse(options.review) as { request: { uid: string } };
    review.request.uid = uid;
    const body = JSON.stringify(review);
    return new Promise((resolve) => {
      const call = request({
        host: '127.0.0.1',
        port: options.port,
        path: '/v1/admit?timeout=10s',
        method: 'POST',
        agent,
      });
      inFlight.add(call);
      const done = (verdict: boolean, why: string) => {
        inFlight.delete(call);
        resolve({ uid, verdict, why, localPort: ports.get(call) });
      };
      const ports = new Map<ClientRequest, number | undefined>();
      call.once('socket', (socket) => {
        if (socket.localPort !== undefined) ports.set(call, socket.localPort);
        else socket.once('connect', () => ports.set(call, socket.localPort));
      });
      call.once('error', (error) => done(false, error.message));
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', (error) => done(false, error.message));
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          const good = response.statusCode === 200 && text.includes('auditAnnotations') && text.includes(uid);
          done(good, good ? '' : `${response.statusCode} ${text.slice(0, 300)}`);
        });
      });
      call.setHeader('content-type', 'application/json');
      call.end(body);
    });
  };
  const client = async (): Promise<void> => {
    while (running) {
      calls.push(await one());
      await sleep(PAUSE_MS);
    }
  };
  const clients = Array.from({ length: options.clients }, client);
  return {
    calls,
    waiting: () => [...inFlight].map((call) => call.socket?.localPort),
    async stop() {
      running = false;
      await Promise.all(clients);
      agent.destroy();
    },
  };
}
