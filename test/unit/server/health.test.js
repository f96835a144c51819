import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createHealthHandler } from '../../../src/server/health.js';
import { openHttpListener } from '../../../src/server/http-listener.js';
import { createMetrics } from '../../../src/server/metrics.js';
let listener;
afterEach(() => listener.close(0));
async function open(checks = [], metrics = createMetrics('1.2.3').registry) {
    const handler = createHealthHandler({ checks, metrics });
    listener = await openHttpListener({ name: 'metrics', host: '127.0.0.1', port: 0, handler });
    return (path, init) => fetch(`http://127.0.0.1:${listener.port}${path}`, init);
}
const good = { name: 'ledger', check: () => ({ ok: true, detail: '12 entries' }) };
const bad = { name: 'space', check: () => ({ ok: false }) };
describe('/readyz', () => {
    it('is ok when every check is', async () => {
        const get = await open([good]);
        const answer = await get('/readyz');
        expect([answer.status, await answer.text()]).toEqual([200, 'ok\n']);
    });
    it('says what warns while it is still ready', async () => {
        const get = await open([{ name: 'space', check: () => ({ ok: true, detail: 'low', warning: true }) }, good]);
        const answer = await get('/readyz');
        expect([answer.status, await answer.text()]).toEqual([
            200,
            '[+]space ok: low\n[+]ledger ok: 12 entries\nreadyz check passed\n',
        ]);
    });
    it('names each check when asked, as Kubernetes does', async () => {
        const get = await open([good]);
        const answer = await get('/readyz?verbose');
        expect([answer.status, await answer.text()]).toEqual([200, '[+]ledger ok: 12 entries\nreadyz check passed\n']);
    });
    it('is 503 and names each check when one fails', async () => {
        const get = await open([good, bad]);
        const answer = await get('/readyz');
        expect([answer.status, await answer.text()]).toEqual([
            503,
            '[+]ledger ok: 12 entries\n[-]space failed\nreadyz check failed\n',
        ]);
    });
    it('takes a check that throws for one that failed', async () => {
        const check = () => {
            throw new Error('closed');
        };
        const get = await open([{ name: 'ledger', check }]);
        const answer = await get('/readyz');
        expect([answer.status, await answer.text()]).toEqual([503, '[-]ledger failed: closed\nreadyz check failed\n']);
    });
    it('looks anew each time, also at checks that were added since', async () => {
        let ready = true;
        const checks = [{ name: 'phase', check: () => ({ ok: ready }) }];
        const get = await open(checks);
        expect((await get('/readyz')).status).toBe(200);
        checks.push(bad);
        expect((await get('/readyz')).status).toBe(503);
        checks.pop();
        ready = false;
        expect((await get('/readyz')).status).toBe(503);
    });
});
describe('the health listener', () => {
    it('answers /livez while readiness fails', async () => {
        const get = await open([bad]);
        const answer = await get('/livez');
        expect([answer.status, await answer.text()]).toEqual([200, 'ok\n']);
    });
    it('answers /metrics in the text format of Prometheus', async () => {
        const get = await open();
        const answer = await get('/metrics');
        expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
        expect(await answer.text()).toContain('sealgate_build_info{version="1.2.3"} 1');
    });
    it('says so when a metric cannot be read', async () => {
        const broken = { contentType: 'text/plain', metrics: () => Promise.reject(new Error('no index')) };
        const handler = createHealthHandler({ checks: [], metrics: broken });
        listener = await openHttpListener({ name: 'metrics', host: '127.0.0.1', port: 0, handler });
        const answer = await fetch(`http://127.0.0.1:${listener.port}/metrics`);
        expect([answer.status, await answer.text()]).toEqual([500, 'no index\n']);
    });
    it('knows no other path or method', async () => {
        const get = await open();
        expect((await get('/')).status).toBe(404);
        const posted = await get('/readyz', { method: 'POST' });
        expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
        expect((await get('/livez', { method: 'HEAD' })).status).toBe(200);
    });
    it.each(['//', '/%', '*', 'http://x:y/', '/readyz?%'])('is not brought down by the target %s', async (target) => {
        const get = await open([good]);
        const text = await new Promise((resolve, reject) => {
            let received = '';
            const socket = connect(listener.port, '127.0.0.1', () => {
                socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
            });
            socket.setEncoding('utf8').on('data', (chunk) => {
                received += chunk;
            });
            socket.once('error', reject).once('close', () => resolve(received));
        });
        expect(text).toMatch(/^HTTP\/1\.1 (200|40\d) /);
        expect((await get('/livez')).status).toBe(200);
    });
    it('says which setting to change when its port is taken', async () => {
        await open();
        const { port } = listener;
        const opening = openHttpListener({ name: 'metrics', host: '127.0.0.1', port, handler: () => { } });
        await expect(opening).rejects.toMatchObject({
            code: 'LISTEN_FAILED',
            message: expect.stringContaining('metrics.port'),
        });
    });
    it('closes although an answer never ends', async () => {
        const handler = createHealthHandler({ checks: [], metrics: createMetrics('1').registry });
        listener = await openHttpListener({
            name: 'api',
            host: '127.0.0.1',
            port: 0,
            handler: (request, response) => request.url === '/follow' ? void response.write('first\n') : handler(request, response),
        });
        const answer = await fetch(`http://127.0.0.1:${listener.port}/follow`);
        const read = answer.text().catch(() => 'cut');
        const began = performance.now();
        await listener.close(50);
        expect(performance.now() - began).toBeLessThan(2000);
        expect(await read).toBe('cut');
    });
});
