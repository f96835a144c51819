import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openIndexForReading } from '../../../src/index/schema.js';
import { findEntry } from '../../../src/index/search.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { annotation, buildIndex, decisionAppend, eventAppend, MemoryLedger, openTestLedger, uuid } from './support.js';
function inDir(use) {
    const dir = mkdtempSync(join(tmpdir(), 'sealgate-links-'));
    const done = () => rmSync(dir, { recursive: true, force: true });
    const result = use(dir);
    if (result instanceof Promise)
        return result.finally(done);
    done();
    return result;
}
function linksIn(file, seq, shard = 0) {
    const db = openIndexForReading(file);
    try {
        return findEntry(db, { shard, seq })?.links ?? [];
    }
    finally {
        db.close();
    }
}
describe('the join of events with decisions', () => {
    it('ties the event of a request to its decision and back, on a ledger on disk', async () => {
        await inDir(async (dir) => {
            const ledger = await openTestLedger(dir);
            const [denied] = await ledger.append('decision', [decisionAppend({ uid: uuid(1), allowed: false })]);
            const annotations = annotation(ledger.origin, uuid(1), denied);
            const [event] = await ledger.append('audit', [eventAppend({ auditID: uuid(2), code: 403, annotations })]);
            await ledger.close('over');
            const reader = LedgerReader.open(ledger.dir);
            const file = join(dir, 'index.sqlite');
            buildIndex(file, reader);
            reader.close();
            expect(linksIn(file, denied.seq)).toEqual([
                { state: 'verified', shard: 0, seq: event.seq, kind: 'event', code: 403, stage: 'ResponseComplete' },
            ]);
            expect(linksIn(file, event.seq)).toEqual([
                { state: 'verified', shard: 0, seq: denied.seq, kind: 'decision', allowed: false },
            ]);
        });
    });
    const cases = [
        ['another hash', 'mismatch', (ledger) => ledger.reference({ ...ledger.get(0, 0), leafHash: 'a'.repeat(64) })],
        ['another review', 'mismatch', (ledger) => ledger.reference(ledger.get(0, 0)), uuid(77)],
        ['an entry that is no decision', 'mismatch', (ledger) => ledger.reference(ledger.get(0, 1))],
        ['no reference at all', 'mismatch', () => 'what?'],
        ['an entry that does not exist yet', 'missing', (ledger) => `${ledger.origin(0)}:500:${'a'.repeat(64)}`],
        ['itself', 'missing', (ledger) => `${ledger.origin(0)}:2:${'a'.repeat(64)}`],
        ['another log', 'elsewhere', () => `example.org/other/0/0:0:${'a'.repeat(64)}`],
    ];
    it.each(cases)('keeps and shows what an event claims when it names %s', (_what, state, reference, uid = uuid(1)) => {
        inDir((dir) => {
            const ledger = new MemoryLedger();
            ledger.decision({ uid: uuid(1) });
            ledger.event({ auditID: uuid(2) });
            const claim = reference(ledger);
            ledger.event({ auditID: uuid(3), annotations: { [`admission.sealgate.dev/d.${uid}`]: claim } });
            const file = join(dir, 'index.sqlite');
            buildIndex(file, ledger);
            expect(linksIn(file, 2)).toEqual([expect.objectContaining({ state, claim: `d.${uid}=${claim}` })]);
        });
    });
    it('checks against the ledger what it does not remember, and finds decisions in earlier shards', () => {
        inDir((dir) => {
            const ledger = new MemoryLedger();
            const decision = ledger.decision({ uid: uuid(1) });
            const forged = ledger.decision({ uid: uuid(2) });
            const file = join(dir, 'index.sqlite');
            buildIndex(file, ledger);
            ledger.rotate();
            const annotations = {
                [`w/d.${uuid(1)}`]: ledger.reference(decision),
                [`w/d.${uuid(2)}`]: ledger.reference({ ...forged, leafHash: 'b'.repeat(64) }),
            };
            ledger.event({ auditID: uuid(3), annotations });
            // A new writer: it has forgotten the decisions of the first.
            buildIndex(file, ledger);
            expect(linksIn(file, 0, 1)).toMatchObject([
                { state: 'verified', shard: 0, seq: 0 },
                { state: 'mismatch', shard: 0, seq: 1 },
            ]);
            expect(linksIn(file, 0)).toMatchObject([{ state: 'verified', shard: 1, seq: 0 }]);
        });
    });
    it('shows a decision that did not reach its caller', () => {
        inDir((dir) => {
            const ledger = new MemoryLedger();
            ledger.decision({ uid: uuid(1) });
            ledger.append('undelivered', { decision: 0, shard: 0, reason: 'the caller went away' }, { uid: uuid(1) });
            const file = join(dir, 'index.sqlite');
            buildIndex(file, ledger);
            expect(linksIn(file, 0)).toEqual([{ state: 'verified', shard: 0, seq: 1, kind: 'undelivered' }]);
            expect(linksIn(file, 1)).toEqual([{ state: 'verified', shard: 0, seq: 0, kind: 'decision', allowed: true }]);
        });
    });
});
