// The API as the pod runs it: a ledger on disk, its index thread, its query threads, a listener.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApi } from '../../../src/api/app.js';
import { createQueries } from '../../../src/api/queries.js';
import { openView } from '../../../src/index/view.js';
import { systemClock } from '../../../src/lib/clock.js';
import { openTestLedger, recordingLog } from '../index/support.js';
export class TestApi {
    dir = mkdtempSync(join(tmpdir(), 'sealgate-api-'));
    log = recordingLog();
    ledger;
    view;
    queries;
    server;
    static async start(options = {}) {
        const api = new TestApi();
        api.ledger = await openTestLedger(api.dir, undefined, (head) => api.view?.notify(head));
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
    get indexFile() {
        return join(this.dir, 'index', 'index.sqlite');
    }
    get port() {
        return this.server.address().port;
    }
    url(path) {
        return `http://127.0.0.1:${this.port}${path}`;
    }
    /** With any headers, Host too, which fetch would not send. */
    ask(path, headers = {}, method = 'GET') {
        return new Promise((resolve, reject) => {
            const sent = request({ host: '127.0.0.1', port: this.port, path, method, headers }, (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.once('end', () => {
                    const text = Buffer.concat(chunks).toString();
                    resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
                });
            });
            sent.once('error', reject).end();
        });
    }
    async json(path) {
        const response = await fetch(this.url(path));
        if (!response.ok)
            throw new Error(`${path}: ${response.status} ${await response.text()}`);
        return (await response.json());
    }
    async stop() {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
        await this.queries.close();
        await this.view.close();
        await this.ledger.close('over');
        rmSync(this.dir, { recursive: true, force: true });
    }
}
