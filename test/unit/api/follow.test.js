import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decisionAppend, uuid } from '../index/support.js';
import { TestApi } from './support.js';
/** Reads a followed stream until `enough` says so; gives the lines, empty ones too. */
async function follow(api, path, enough) {
    const abort = new AbortController();
    const response = await fetch(api.url(path), { signal: abort.signal });
    expect(response.status, await (response.ok ? '' : response.text())).toBe(200);
    expect(response.headers.get('content-type')).toContain('application/x-ndjson');
    let read = '';
    try {
        for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
            read += chunk;
            if (enough(read.split('\n').slice(0, -1)))
                abort.abort();
        }
    }
    catch (error) {
        if (!abort.signal.aborted)
            throw error;
    }
    return read.split('\n').slice(0, -1);
}
const entriesOf = (lines) => lines.filter((line) => line !== '').map((line) => JSON.parse(line));
describe('following', () => {
    let api;
    let next = 0;
    const add = async (count, user = 'alice') => {
        await api.ledger.append('decision', Array.from({ length: count }, () => decisionAppend({ uid: uuid(next), name: `pod-${next++}`, user })));
    };
    beforeAll(async () => {
        api = await TestApi.start({ heartbeatMs: 150 });
        await add(30);
    });
    afterAll(() => api?.stop());
    it('gives every match once and in order, from where a list ended, while entries arrive', async () => {
        const { tail } = await api.json('/v1/entries?limit=1');
        const first = next;
        let writing = true;
        const writer = (async () => {
            for (let i = 0; i < 30; i++) {
                await add(40, i % 2 === 0 ? 'alice' : 'bob');
                await sleep(10);
            }
            writing = false;
        })();
        const lines = await follow(api, `/v1/entries?follow=1&user=bob&cursor=${tail}`, (soFar) => !writing && soFar.filter((line) => line !== '').length >= 600);
        await writer;
        const names = entriesOf(lines).map(({ name }) => name);
        const wanted = Array.from({ length: 1200 }, (_, i) => first + i).filter((i) => Math.floor((i - first) / 40) % 2 === 1);
        expect(names).toEqual(wanted.map((i) => `pod-${i}`));
    });
    it('begins now without a cursor, and at a time that was asked for', async () => {
        const before = next;
        let wrote = false;
        const lines = await follow(api, '/v1/entries?follow=1', (soFar) => {
            // The first sign of life: from now on everything counts.
            if (!wrote)
                void add(3);
            wrote = true;
            return entriesOf(soFar).length >= 3;
        });
        expect(entriesOf(lines).map(({ name }) => name)).toEqual([before, before + 1, before + 2].map((i) => `pod-${i}`));
        const since = await follow(api, '/v1/entries?follow=1&since=1h&kind=decision', (soFar) => entriesOf(soFar).length >= next);
        expect(entriesOf(since).map(({ name }) => name)).toEqual(Array.from({ length: next }, (_, i) => `pod-${i}`));
    });
    it('shows signs of life while nothing comes', async () => {
        expect(await follow(api, '/v1/entries?follow=1', (lines) => lines.length >= 3)).toEqual(['', '', '']);
    });
    it('has a bounded number of clients, and room again when they have gone', async () => {
        const aborts = Array.from({ length: 32 }, () => new AbortController());
        const all = await Promise.all(aborts.map(({ signal }) => fetch(api.url('/v1/entries?follow=1'), { signal })));
        expect(all.every(({ status }) => status === 200)).toBe(true);
        const refused = await api.ask('/v1/entries?follow=1');
        expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('QUERY_UNAVAILABLE') });
        for (const abort of aborts)
            abort.abort();
        for (;;) {
            const abort = new AbortController();
            const { status } = await fetch(api.url('/v1/entries?follow=1'), { signal: abort.signal });
            abort.abort();
            if (status === 200)
                break;
            await sleep(50);
        }
    });
    it('holds one page for a client that does not read, however much comes', async () => {
        const responses = [];
        api.server.on('request', (_request, response) => responses.push(response));
        const socket = connect(api.port, '127.0.0.1');
        socket.pause();
        socket.write('GET /v1/entries?follow=1&user=talker* HTTP/1.1\r\nHost: localhost\r\n\r\n');
        while (responses[0]?.headersSent !== true)
            await sleep(10);
        // Some 30 MB of NDJSON: far more than the kernel takes off our hands for a socket.
        for (let i = 0; i < 60; i++)
            await add(500, `talker-${'x'.repeat(450)}-${i}`.padEnd(500, 'y'));
        await api.json('/v1/entries?limit=1');
        await sleep(1000);
        const waiting = responses[0].writableLength;
        expect(waiting).toBeGreaterThan(0);
        expect(waiting).toBeLessThan(2 * 2 ** 20);
        socket.destroy();
    });
});
