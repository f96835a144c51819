import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentKey, createRedeliveryWindow, rebuild } from '../../../src/audit/redelivery.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { openTestLedger, places, tempDir } from '../ledger/temp-ledger.js';
import { eventOf, handlerWith, listOf, recordedIn, requestOf } from './support.js';
const key = (name) => contentKey(Buffer.from(String(name)));
const at = (seq) => ({ shard: 0, seq });
describe('the redelivery window', () => {
    it('remembers where the newest events within the time are, and nothing else, whatever the order of calls', () => {
        const action = fc.oneof(fc.record({ type: fc.constant('add'), name: fc.nat(30) }), fc.record({ type: fc.constant('pass'), ms: fc.nat(6000) }), fc.record({ type: fc.constant('find'), name: fc.nat(30) }));
        void fc.assert(fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (actions, maxEvents) => {
            let now = 1_000_000;
            const window = createRedeliveryWindow({ maxEvents, seconds: 10 }, () => now);
            // The law, written as slowly as can be: a list, oldest first.
            let model = [];
            actions.forEach((one, i) => {
                model = model.filter(({ time }) => time > now - 10_000);
                if (one.type === 'pass')
                    now += one.ms;
                else if (one.type === 'add') {
                    window.remember(key(one.name), at(i), now);
                    if (!model.some(({ name }) => name === one.name))
                        model.push({ name: one.name, place: at(i), time: now });
                    model = model.slice(-maxEvents);
                }
                model = model.filter(({ time }) => time > now - 10_000);
                for (let name = 0; name <= 30; name++) {
                    expect(window.find(key(name))).toEqual(model.find((other) => other.name === name)?.place);
                }
                expect(window.size).toBe(model.length);
            });
        }), { numRuns: 200 });
    });
    it('keeps its memory at the size it was given, and finds all that it holds after many times that', () => {
        const window = createRedeliveryWindow({ maxEvents: 1000, seconds: 300 }, () => 0);
        for (let i = 0; i < 20_000; i++)
            window.remember(key(i), { shard: 2, seq: i * 2 ** 21 }, 0);
        expect(window.size).toBe(1000);
        for (let i = 0; i < 20_000; i++) {
            expect(window.find(key(i))).toEqual(i < 19_000 ? undefined : { shard: 2, seq: i * 2 ** 21 });
        }
    });
    it('holds an event in flight as long as that lasts, beside the limits', async () => {
        const window = createRedeliveryWindow({ maxEvents: 0, seconds: 0 }, () => 0);
        const { promise, resolve } = Promise.withResolvers();
        window.begin([undefined, key('a')], promise);
        const seen = window.find(key('a'));
        resolve([at(1), at(2)]);
        expect(await seen()).toEqual(at(2));
        await Promise.resolve();
        expect(window.find(key('a'))).toBeUndefined();
    });
    it('forgets an event whose append failed, and fails what waits for it', async () => {
        const window = createRedeliveryWindow({ maxEvents: 10, seconds: 10 }, () => 0);
        const { promise, reject } = Promise.withResolvers();
        window.begin([key('a')], promise);
        const seen = window.find(key('a'));
        reject(new Error('no'));
        await expect(seen()).rejects.toThrow('no');
        await Promise.resolve();
        expect(window.find(key('a'))).toBeUndefined();
    });
    it('is rebuilt from the ledger: after a restart, too, a batch that comes again makes no second record', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        const secret = eventOf(2, { requestObject: { kind: 'Secret', data: { a: 'b' } } });
        const body = listOf(eventOf(1), secret, '{"x":1}');
        await handlerWith(ledger).handler(requestOf(body));
        await ledger.append('audit', [{ kind: 'event', body: Buffer.from('{"event":"none"}') }]);
        await ledger.close('restart');
        const restarted = await openTestLedger(root);
        const { handler, window } = handlerWith(restarted);
        const reader = LedgerReader.open(places(root).dir);
        await rebuild(window, reader.entries(0, 0));
        reader.close();
        expect(window.size).toBe(2);
        await handler(requestOf(body));
        const kinds = recordedIn(root).map(({ leaf }) => leaf.kind);
        expect(kinds.filter((kind) => kind === 'event')).toHaveLength(3);
        expect(recordedIn(root).at(-1)?.json).toMatchObject({ duplicates: 2, first: '0/1', last: '0/2' });
    });
    it('leaves out what is older than its time when it is rebuilt', async () => {
        const window = createRedeliveryWindow({ maxEvents: 10, seconds: 60 }, () => Date.parse('2026-01-01T00:01:30Z'));
        const entry = (seq, time) => ({
            shard: 0,
            seq,
            leaf: { kind: 'event', time },
            body: Buffer.from(`{"source":{},"event":{"n":${seq}}}`),
        });
        await rebuild(window, [entry(1, '2026-01-01T00:00:00.000000Z'), entry(2, '2026-01-01T00:01:00.000000Z')]);
        expect(window.size).toBe(1);
        expect(window.find(key('{"n":2}'))).toEqual(at(2));
    });
});
