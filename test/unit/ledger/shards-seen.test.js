// What stands on the ledger, over several shards: the index, proofs and what is remembered at start.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IndexTail } from '../../../src/index/tail.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { newestSince } from '../../../src/ledger/recent.js';
import { event, openTestLedger, places, tempDir } from './temp-ledger.js';
describe('a ledger of several shards', () => {
    it('is indexed to its end, while it grows and when the index is opened again', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root, { shardLimits: { entries: 5 } });
        const source = LedgerReader.open(places(root).dir);
        const warnings = [];
        const log = {
            warn: (...args) => warnings.push(args),
            error: (...args) => warnings.push(args),
        };
        const open = () => new IndexTail({ file: join(root, 'index.sqlite'), source, log: log });
        let tail = open();
        for (let i = 0; i < 12; i++) {
            await ledger.append('audit', [event({ i })]);
            tail.step(1000);
            const { shard, size } = ledger.head();
            expect(tail.position()).toEqual({ shard, size });
        }
        tail.close();
        expect(ledger.shard).toBe(2);
        tail = open();
        await ledger.append('audit', [event({})]);
        tail.step(1000);
        expect(tail.position()).toEqual({ shard: 3, size: ledger.head().size });
        expect(warnings.filter((one) => JSON.stringify(one).includes('anew'))).toEqual([]);
        tail.close();
        source.close();
        await ledger.close('test');
    });
    it('remembers what came before the newest shard, and no more than the limit', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root, { shardLimits: { entries: 5 } });
        for (let i = 0; i < 6; i++)
            await ledger.append('audit', [event({ i })]);
        expect(ledger.shard).toBe(1);
        const reader = LedgerReader.open(places(root).dir);
        const seen = (limit) => [...newestSince(reader, 1, 0, limit)].map(({ shard, seq }) => `${shard}/${seq}`);
        expect(seen(100)).toEqual(['0/0', '0/1', '0/2', '0/3', '0/4', '1/0', '1/1', '1/2']);
        expect(seen(5)).toEqual(['0/3', '0/4', '1/0', '1/1', '1/2']);
        expect(seen(2)).toEqual(['1/1', '1/2']);
        reader.close();
        await ledger.close('test');
    });
});
