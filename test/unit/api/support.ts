// The API as the pod runs it: a ledger on disk, its index thread, its query threads, a listener.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiOptions, createApi } from '../../../src/api/app.ts';
import { createQueries, type Queries } from '../../../src/api/queries.ts';
import { type IndexView, openView } from '../../../src/index/view.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { type Logged, openTestLedger, recordingLog } from '../index/support.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export class TestApi {
  readonly dir = mkdtempSync(join(tmpdir(), 'sealgate-api-'));
  readonly log: Logged = recordingLog();
  ledger!: Ledger;
  view!: IndexView;
  queries!: Queries;
  server!: Server;

  static async start(options: Partial<ApiOptions> = {}, log?: string): Promise<TestApi> {
    const api = new TestApi();
    api.ledger = await openTestLedger(api.dir, log, (head) => api.view?.notify(head));
    api.view = openView({ ledgerDir: api.ledger.dir, file: api.indexFile, log: api.log });
    api.queries = createQueries({ ledgerDir: api.ledger.dir, vkey: api.ledger.vkey, view: api.view });
    const app = createApi({
      queries: api.queries,
      view: api.view,
      head: () => api.ledger.head(),
      origin: api.ledger.origin,
      vkey: api.ledger.vkey,
      version: '1.2.3',
      bundle: () => 'sha256:abc',
      now: () => systemClock().now(),
      log: api.log,
      ...options,
    });
    api.server = createServer(app).listen(0, '127.0.0.1');
    await once(api.server, 'listening');
    return api;
  }

  get indexFile(): string {
    return join(this.dir, 'index', 'index.sqlite');
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** With any headers, Host too, which fetch would not send. */
  ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: this.port, path, method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      });
      sent.once('error', reject).end();
    });
  }

  async json<T>(path: string): Promise<T> {
    const response = await fetch(this.url(path));
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.queries.close();
    await this.view.close();
    await this.ledger.close('over');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
