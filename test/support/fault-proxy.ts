// An HTTP proxy in front of a real server that does to each request what a rule says: the network and the server on bad days.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProxiedRequest {
  readonly method: string;
  /** Without the query, not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** From 0, over all requests. */
  readonly index: number;
}

export type Fault =
  /** The connection is cut: before the server has seen the request, or after it has done it. */
  | { readonly kind: 'reset'; readonly when: 'before' | 'after' }
  /** The server gets the request so much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Nobody ever answers. */
  | { readonly kind: 'stall' }
  /** The answer begins, and after so many bytes of its body nothing more comes. */
  | { readonly kind: 'hang'; readonly bytes: number }
  /** Answered here, with S3's error document; the server sees nothing. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code: string;
      readonly headers?: Record<string, string>;
    }
  /** The body ends after so many bytes: with the connection, or as if it had been no longer. */
  | { readonly kind: 'truncate'; readonly bytes: number; readonly relabel: boolean }
  /** One bit of the body differs. */
  | { readonly kind: 'flip' }
  /** The server gets it twice; the second answer counts. */
  | { readonly kind: 'duplicate' }
  /** The server's clock stands elsewhere. */
  | { readonly kind: 'date'; readonly date: Date };

export type Rule = (request: ProxiedRequest) => Fault | undefined;

export interface FaultProxy {
  readonly endpoint: string;
  /** Every request so far. */
  readonly requests: readonly ProxiedRequest[];
  /** How many of them something was done to. */
  readonly faults: number;
  rule(rule: Rule | undefined): void;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
}

/** Starts it on loopback. The Host header is passed on as it comes, because it is part of what is signed. */
export async function startFaultProxy(target: string, first?: Rule): Promise<FaultProxy> {
  const requests: ProxiedRequest[] = [];
  let rule = first;
  let faults = 0;
  const server = createServer((req, res) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const url = new URL(req.url ?? '/', target);
      const proxied: ProxiedRequest = {
        method: req.method ?? 'GET',
        path: url.pathname,
        query: url.searchParams,
        headers: req.headers,
        body: Buffer.concat(chunks),
        index: requests.length,
      };
      requests.push(proxied);
      const fault = rule?.(proxied);
      if (fault !== undefined) faults++;
      await play(fault, () => forward(target, req, proxied.body), res);
    })().catch(() => res.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get faults() {
      return faults;
    },
    rule(next) {
      rule = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function play(fault: Fault | undefined, send: () => Promise<Answer>, res: ServerResponse): Promise<void> {
  switch (fault?.kind) {
    case undefined:
      return reply(res, await send());
    case 'reset':
      if (fault.when === 'after') await send();
      res.socket?.resetAndDestroy();
      return;
    case 'slow':
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return reply(res, await send());
    case 'stall':
      return;
    case 'status': {
      const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${fault.code}</Code><Message>planted</Message></Error>`;
      return reply(res, {
        status: fault.status,
        headers: { 'content-type': 'application/xml', date: new Date().toUTCString(), ...fault.headers },
        body: Buffer.from(body),
      });
    }
    case 'truncate': {
      const answer = await send();
      const body = answer.body.subarray(0, fault.bytes);
      if (fault.relabel)
        return reply(res, { ...answer, headers: { ...answer.headers, 'content-length': String(body.length) }, body });
      res.writeHead(answer.status, { ...answer.headers, 'content-length': String(answer.body.length) });
      res.write(body, () => res.socket?.end());
      return;
    }
    case 'hang': {
      const answer = await send();
      res.writeHead(answer.status, { ...answer.headers, 'content-length': String(answer.body.length) });
      res.write(answer.body.subarray(0, fault.bytes));
      return;
    }
    case 'flip': {
      const answer = await send();
      const body = Buffer.from(answer.body);
      if (body.length > 0) body.writeUInt8(body.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
      return reply(res, { ...answer, body });
    }
    case 'duplicate':
      await send();
      return reply(res, await send());
    case 'date': {
      const answer = await send();
      return reply(res, { ...answer, headers: { ...answer.headers, date: fault.date.toUTCString() } });
    }
  }
}

function reply(res: ServerResponse, { status, headers, body }: Answer): void {
  res.sendDate = false;
  res.writeHead(status, headers);
  res.end(body);
}

function forward(target: string, req: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(target);
    const { connection, ...headers } = req.headers;
    const sent = request(
      {
        hostname,
        port,
        method: req.method,
        path: req.url,
        headers: { ...headers, 'content-length': body.length },
        agent: false,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const { connection: _, 'transfer-encoding': chunked, ...rest } = answer.headers;
          const all = Object.fromEntries(
            Object.entries(rest).filter((pair): pair is [string, string | string[]] => pair[1] !== undefined),
          );
          resolve({ status: answer.statusCode ?? 0, headers: all, body: Buffer.concat(chunks) });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
