import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createQueries } from '../../../src/api/queries.js';
import { decisionAppend, uuid } from '../index/support.js';
import { TestApi } from './support.js';
const ALL = { filter: { kind: 'decision' }, ascending: false, limit: 10 };
const COUNT = 1500;
describe('query threads', () => {
    let api;
    beforeAll(async () => {
        api = await TestApi.start();
        await api.ledger.append('decision', Array.from({ length: COUNT }, (_, i) => decisionAppend({ uid: uuid(i) })));
        expect(await api.view.reached(api.ledger.head(), 10_000)).toBe(true);
    });
    afterAll(() => api?.stop());
    const pool = (options) => createQueries({ ledgerDir: api.ledger.dir, vkey: api.ledger.vkey, view: api.view, ...options });
    it('cut a question off that takes too long, and answer the next one', async () => {
        // No thread has even started after a hundredth of a millisecond.
        const hasty = pool({ timeLimitMs: 0.01, threads: 1 });
        await expect(hasty.search(ALL)).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' });
        await expect(hasty.search(ALL)).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' });
        await hasty.close();
        expect((await api.queries.search(ALL)).entries).toHaveLength(10);
    });
    it('let a bounded number of questions wait, and refuse the others at once', async () => {
        const small = pool({ threads: 1, maxWaiting: 3 });
        const asked = await Promise.allSettled(Array.from({ length: 10 }, () => small.search(ALL)));
        const refused = asked.filter(({ status }) => status === 'rejected');
        expect(refused.length).toBe(6);
        expect(refused[0]).toMatchObject({ reason: { code: 'QUERY_UNAVAILABLE' } });
        expect((await small.search(ALL)).entries).toHaveLength(10);
        await small.close();
    });
    it('answer what is waiting with an error when they are closed', async () => {
        const closing = pool({ threads: 1 });
        const asked = Promise.allSettled([closing.search(ALL), closing.search(ALL)]);
        await closing.close();
        for (const answer of await asked)
            expect(answer).toMatchObject({ reason: { code: 'QUERY_UNAVAILABLE' } });
        await expect(closing.search(ALL)).rejects.toMatchObject({ code: 'QUERY_UNAVAILABLE' });
    });
});
describe('an index that is lost under the running process', () => {
    it.each([
        ['deleted', (file) => rmSync(file)],
        [
            'damaged',
            (file) => {
                for (const path of [file, `${file}-wal`])
                    writeFileSync(path, readFileSync(path).fill(0x5a));
            },
        ],
    ])('is built anew when it was %s', async (_what, lose) => {
        const api = await TestApi.start();
        try {
            await api.ledger.append('decision', Array.from({ length: COUNT }, (_, i) => decisionAppend({ uid: uuid(i) })));
            expect(await api.view.reached(api.ledger.head(), 10_000)).toBe(true);
            lose(api.indexFile);
            // Until it is whole again every answer is an error or says how far the index is.
            const deadline = performance.now() + 15_000;
            const query = { ...ALL, limit: 1000, ascending: true };
            for (;;) {
                expect(performance.now()).toBeLessThan(deadline);
                const page = await api.queries.search(query).catch(() => undefined);
                if (page?.indexed?.seq === api.ledger.head().size - 1) {
                    expect(page.entries).toHaveLength(1000);
                    break;
                }
                await sleep(50);
            }
            const rebuilt = api.log.lines.filter(({ message }) => message === 'the index is built anew');
            expect(rebuilt).toHaveLength(1);
            await api.ledger.append('decision', [decisionAppend({ uid: uuid(77_777) })]);
            const { entries } = await api.json(`/v1/entries?uid=${uuid(77_777)}`);
            expect(entries).toHaveLength(1);
        }
        finally {
            await api.stop();
        }
    });
});
