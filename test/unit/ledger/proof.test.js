// Proofs of entries: made from a real ledger, checked with nothing but the file and the key, and refused when anything in them
// is another than it was.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLedger } from '../../../src/ledger/ledger.js';
import { proveEntry } from '../../../src/ledger/proof.js';
import { checkProof } from '../../../src/ledger/proof-check.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { TreeReader } from '../../../src/ledger/tree-reader.js';
import { leafHash, nodeHash } from '../../../src/tlog/merkle.js';
import { formatTlogProof, MAX_PROOF_BYTES, parseTlogProof } from '../../../src/tlog/tlog-proof.js';
import { miniChain, miniKey, miniNote, miniRoot } from '../../support/mini-ledger.js';
import { decision, event, openTestLedger, places, tempDir, testKey } from './temp-ledger.js';
let shared;
beforeAll(() => {
    shared = mkdtempSync(join(tmpdir(), 'sealgate-proof-'));
});
afterAll(() => rmSync(shared, { recursive: true, force: true }));
let original;
/** A copy of a closed ledger of 603 entries with a decision as entry 1. */
async function copyOfLedger() {
    original ??= (async () => {
        const ledger = await openLedger({
            dir: places(shared).dir,
            key: testKey(shared),
            version: '0.0.0-test',
            settingsDigest: `sha256:${'0'.repeat(64)}`,
            onFatal: () => { },
        });
        await ledger.append('decision', [decision({ request: { name: 'web' } })]);
        await ledger.append('audit', Array.from({ length: 600 }, (_, i) => event({ n: i })));
        await ledger.close('done');
        return { file: places(shared).shard, vkey: ledger.vkey };
    })();
    const { file, vkey } = await original;
    const copy = join(tempDir(), 'shard-000000.sqlite');
    copyFileSync(file, copy);
    return { file: copy, vkey };
}
function prove(file, seq, body = true) {
    const shard = TreeReader.open(file);
    try {
        return proveEntry(shard, seq, { body });
    }
    finally {
        shard.close();
    }
}
/** Changes a shard behind its triggers' back, and puts them back. */
function tamper(file, change) {
    const db = new Database(file);
    const triggers = db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .all();
    for (const { name } of triggers)
        db.exec(`DROP TRIGGER ${name}`);
    change(db);
    for (const { sql } of triggers)
        db.exec(sql);
    db.close();
}
const check = (text, ...vkeys) => checkProof(Buffer.from(text), vkeys);
describe('a proof', () => {
    it.each([1, 2, 255, 256, 257, 300, 513, 1100])('of any entry of %i is accepted, and says what the ledger says', async (size) => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        if (size > 1) {
            await ledger.append('audit', Array.from({ length: size - 2 }, (_, i) => event({ n: i })));
            await ledger.close('done');
        }
        const { shard: file, dir } = places(root);
        const reader = LedgerReader.open(dir);
        const shard = TreeReader.open(file);
        for (const seq of [0, 1, 2, 254, 255, 256, 257, 511, 512, 1024, size - 2, size - 1]) {
            if (seq < 0 || seq >= size)
                continue;
            const entry = reader.get(0, seq);
            const report = check(proveEntry(shard, seq, { body: true }).text, ledger.vkey);
            expect(report).toMatchObject({
                status: 'proven',
                exitCode: 0,
                checkpoint: { size, key: ledger.origin.slice(0, -2) },
            });
            expect(report.entry).toEqual({
                origin: ledger.origin,
                shard: 0,
                leaf: entry.leaf,
                leafHash: entry.leafHash,
                body: entry.body.toString(),
            });
            expect(report.unproven.join()).not.toContain('the body');
        }
        reader.close();
        shard.close();
    });
    it('without the body holds neither it nor its salt, which would let it be guessed', async () => {
        const { file, vkey } = await copyOfLedger();
        const proof = prove(file, 1, false);
        expect(proof.body).toBe('left-out');
        expect(Object.keys(JSON.parse(Buffer.from(parseTlogProof(proof.text).extra).toString()))).toEqual(['leaf']);
        const report = check(proof.text, vkey);
        expect(report).toMatchObject({ status: 'proven', entry: { leaf: { kind: 'decision', allowed: true } } });
        expect(report.entry).not.toHaveProperty('body');
        expect(report.unproven[0]).toContain('the body');
    });
    it('of an entry with a large body leaves the body out exactly when the file could not be read any more', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        const bodies = [1_000_000, 1_490_000, 1_499_500, 1_600_000, 3_000_000];
        for (const size of bodies)
            await ledger.append('audit', [{ kind: 'event', body: Buffer.alloc(size, 'x') }]);
        await ledger.close('done');
        const made = bodies.map((_, i) => prove(places(root).shard, i + 1));
        expect(made.map(({ body }) => body)).toEqual(['included', 'included', 'too-large', 'too-large', 'too-large']);
        for (const { text } of made) {
            expect(text.length).toBeLessThanOrEqual(MAX_PROOF_BYTES);
            expect(check(text, ledger.vkey).status).toBe('proven');
        }
    });
    it('of an entry whose body is not text leaves the body out', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        await ledger.append('audit', [{ kind: 'event', body: Buffer.of(0x7b, 0xff, 0x7d) }]);
        await ledger.close('done');
        const proof = prove(places(root).shard, 1);
        expect([proof.body, check(proof.text, ledger.vkey).status]).toEqual(['not-text', 'proven']);
    });
    it('keeps every character of a body', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        const body = '\ufeff{"a":"\\u0000 \u2028 \u00fc \u{1f511} \\ud800"}\r\n';
        await ledger.append('audit', [{ kind: 'event', body: Buffer.from(body) }]);
        await ledger.close('done');
        expect(check(prove(places(root).shard, 1).text, ledger.vkey).entry?.body).toBe(body);
    });
    it('is made beside the live writer, under the newest checkpoint', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root, { checkpointIntervalMs: 20 });
        const shard = TreeReader.open(places(root).shard);
        expect(proveEntry(shard, 0, { body: true }).size).toBe(1);
        await ledger.append('audit', [event(1), event(2)]);
        while (ledger.head().signedSize < 3)
            await new Promise((resolve) => setTimeout(resolve, 10));
        const proof = proveEntry(shard, 0, { body: true });
        expect(proof.size).toBe(3);
        expect(check(proof.text, ledger.vkey).status).toBe('proven');
        shard.close();
    });
    it('of an entry that no checkpoint covers yet is refused, saying when it will be', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root, { checkpointIntervalMs: 60_000 });
        await ledger.append('audit', [event(1)]);
        expect(() => prove(places(root).shard, 1)).toThrow(expect.objectContaining({
            code: 'ENTRY_UNSIGNED',
            message: expect.stringMatching(/entries 0 to 0.*within a second/),
        }));
        expect(() => prove(places(root).shard, 2)).toThrow(expect.objectContaining({ code: 'ENTRY_NOT_FOUND' }));
    });
});
describe('a ledger that was changed gives no proof', () => {
    const cases = [
        [
            'the leaf',
            (db) => db.exec(`UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), '"size":', '"size":1') AS BLOB) WHERE seq = 1`),
        ],
        ['a leaf beside it', (db) => db.exec("UPDATE leaf SET leaf = x'7b7d' WHERE seq = 0")],
        ['a leaf that is missing', (db) => db.exec('DELETE FROM leaf WHERE seq = 0')],
        ['the body', (db) => db.exec('UPDATE pack SET codec = 0, data = zeroblob(100) WHERE first <= 1')],
        ['the packs', (db) => db.exec('DELETE FROM pack')],
        ['a node', (db) => db.exec('UPDATE subtree SET hash = zeroblob(32) WHERE level = 1 AND idx = 1')],
        ['a node that is missing', (db) => db.exec('DELETE FROM subtree WHERE idx = 1')],
        ['a node of another size', (db) => db.exec("UPDATE subtree SET hash = x'00' WHERE idx = 1")],
        ['the checkpoint', (db) => db.exec("UPDATE checkpoint SET note = x'00'")],
        ['the size of the checkpoint', (db) => db.exec('UPDATE checkpoint SET size = size - 1 WHERE size > 1')],
        ['checkpoints', (db) => db.exec('DELETE FROM checkpoint')],
    ];
    it.each(cases)('%s', async (_name, change) => {
        const { file } = await copyOfLedger();
        expect(prove(file, 1).body).toBe('included');
        tamper(file, change);
        expect(() => prove(file, 1)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    });
    it('a record of the right length in place of the body', async () => {
        const { file } = await copyOfLedger();
        tamper(file, (db) => {
            const packs = db.prepare('SELECT first, count FROM pack').all();
            const size = (seq) => JSON.parse(db.prepare('SELECT leaf FROM leaf WHERE seq = ?').pluck().get(seq).toString())
                .size;
            for (const { first, count } of packs) {
                const records = Array.from({ length: count }, (_, i) => {
                    const record = Buffer.alloc(21 + size(first + i), 'x');
                    record[0] = 1;
                    record.writeUInt32BE(size(first + i), 17);
                    return record;
                });
                db.prepare('UPDATE pack SET codec = 0, data = ? WHERE first = ?').run(Buffer.concat(records), first);
            }
        });
        expect(() => prove(file, 1)).toThrow(/commits to/);
        expect(prove(file, 1, false).body).toBe('left-out');
    });
});
describe('checking a proof', () => {
    let text;
    let vkey;
    const file = (extra, changes = {}) => {
        const proof = parseTlogProof(text);
        const bytes = typeof extra === 'string' ? extra : JSON.stringify(extra);
        return formatTlogProof({ ...proof, extra: Buffer.from(bytes), ...changes });
    };
    const extraOf = () => JSON.parse(Buffer.from(parseTlogProof(text).extra).toString());
    beforeAll(async () => {
        // The ledger goes with this hook; the proof is all that the checks below have.
        const key = miniKey('ledger.example/mini/0', 7);
        const entries = Array.from({ length: 11 }, (_, i) => ({ kind: 'event', body: Buffer.from(`{"n":${i}}`) }));
        const leaves = miniChain(entries);
        const hashes = leaves.map(({ hash }) => hash);
        const pair = (i) => nodeHash(hashes[i], hashes[i + 1]);
        text = formatTlogProof({
            extra: Buffer.from(JSON.stringify({ leaf: leaves[5].bytes.toString(), salt: leaves[5].salt.toString('hex'), body: '{"n":5}' })),
            index: 5,
            hashes: [hashes[4], pair(6), nodeHash(pair(0), pair(2)), nodeHash(pair(8), hashes[10])],
            checkpoint: miniNote(key, `${key.name}/3`, 11, miniRoot(hashes)),
        });
        vkey = key.vkey;
    });
    it('accepts one that was made by hand from the documents', () => {
        expect(check(text, vkey)).toMatchObject({
            report: 1,
            status: 'proven',
            entry: { origin: 'ledger.example/mini/0/3', shard: 3, leaf: { seq: 5, kind: 'event' }, body: '{"n":5}' },
            checkpoint: { size: 11, key: 'ledger.example/mini/0' },
        });
    });
    it('refuses it with any one byte changed', () => {
        const bytes = Buffer.from(text);
        fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
            const changed = Buffer.from(bytes);
            changed[at] ^= mask;
            const report = checkProof(changed, [vkey]);
            expect(report.status).not.toBe('proven');
            expect(report.entry).toBeUndefined();
            expect(report.error?.message).not.toBe('');
        }), { numRuns: 2000 });
    });
    it('refuses it cut off anywhere', () => {
        for (let length = 0; length < text.length; length++)
            expect(check(text.slice(0, length), vkey).exitCode).not.toBe(0);
    });
    it('never throws for any file', () => {
        fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => checkProof(bytes, [vkey]).status === 'invalid'));
        fc.assert(fc.property(fc.jsonValue(), (extra) => {
            expect(check(file(JSON.stringify(extra)), vkey).status).toBe('invalid');
        }));
    });
    it.each([
        ['no extra line', () => text.replace(/^extra .*\n/m, '')],
        ['extra data that is not JSON', () => file('{')],
        ['extra data that is a list', () => file('[]')],
        ['no leaf', () => file({ ...extraOf(), leaf: undefined })],
        [
            'a leaf that is not ASCII',
            () => file({ ...extraOf(), leaf: extraOf().leaf.replace('event', 'e\u0076\u0113nt') }),
        ],
        [
            'a leaf whose characters only share their low bytes with the real one',
            () => file({
                ...extraOf(),
                leaf: [...extraOf().leaf].map((c) => String.fromCharCode(c.charCodeAt(0) + 0x100)).join(''),
            }),
        ],
        ['another leaf', () => file({ ...extraOf(), leaf: extraOf().leaf.replace('"seq":5', '"seq":4') })],
        ['another body', () => file({ ...extraOf(), body: '{"n":6}' })],
        ['another salt', () => file({ ...extraOf(), salt: '00'.repeat(16) })],
        ['a body without its salt', () => file({ ...extraOf(), salt: undefined })],
        ['a salt without its body', () => file({ ...extraOf(), body: undefined })],
        ['a salt in upper case', () => file({ ...extraOf(), salt: extraOf().salt.toUpperCase() })],
        ['another index', () => file(extraOf(), { index: 4 })],
        ['an index beyond the checkpoint', () => file(extraOf(), { index: 11 })],
        ['a path of the wrong length', () => file(extraOf(), { hashes: parseTlogProof(text).hashes.slice(1) })],
    ])('refuses one with %s', (_name, make) => {
        expect(check(make(), vkey)).toMatchObject({ status: 'invalid', exitCode: 10, error: { code: 'PROOF_INVALID' } });
    });
    it('refuses what the log signed but is no leaf, or is a leaf in another place', () => {
        const key = miniKey('ledger.example/mini/0', 7);
        const [first, second] = miniChain([
            { kind: 'event', body: Buffer.from('{}') },
            { kind: 'event', body: Buffer.from('{}') },
        ]);
        const single = (leaf) => formatTlogProof({
            extra: Buffer.from(JSON.stringify({ leaf: leaf.toString() })),
            index: 0,
            hashes: [],
            checkpoint: miniNote(key, `${key.name}/0`, 1, leafHash(leaf)),
        });
        expect(check(single(first.bytes), key.vkey).status).toBe('proven');
        expect(check(single(Buffer.from('{"v":1}')), key.vkey).status).toBe('invalid');
        expect(check(single(second.bytes), key.vkey).error?.message).toContain('says that it is entry 1');
    });
    it('says what else the extra line holds that it does not know, and does not pass it on', () => {
        const report = check(file({ ...extraOf(), verdict: 'trust me' }), vkey);
        expect(report.status).toBe('proven');
        expect(report.unproven.join()).toContain('what else the extra line holds (1 keys)');
        expect(JSON.stringify(report)).not.toContain('trust me');
    });
    it('tells a wrong key of the same log from a proof of another log', () => {
        const other = miniKey('ledger.example/mini/0', 8).vkey;
        const stranger = miniKey('ledger.example/mini/1', 7).vkey;
        expect(check(text, other)).toMatchObject({
            status: 'wrong-key',
            exitCode: 12,
            error: { code: 'LEDGER_WRONG_KEY' },
        });
        const report = check(text, stranger);
        expect(report).toMatchObject({ status: 'other-log', exitCode: 13, error: { code: 'PROOF_OTHER_LOG' } });
        expect(report.error?.message).toContain('ledger.example/mini/0/3');
        expect(check(text, stranger, other, vkey).status).toBe('proven');
    });
    it('refuses a checkpoint that the key signed for a name that is not one of its shards', () => {
        const key = miniKey('ledger.example/mini/0', 7);
        for (const origin of ['ledger.example/mini/0', 'ledger.example/mini/0/x', 'ledger.example/mini/0/01', 'other/0']) {
            const [leaf] = miniChain([{ kind: 'event', body: Buffer.from('{}') }]);
            const extra = Buffer.from(JSON.stringify({ leaf: leaf.bytes.toString() }));
            const made = formatTlogProof({ extra, index: 0, hashes: [], checkpoint: miniNote(key, origin, 1, leaf.hash) });
            expect(check(made, key.vkey).status).toBe('other-log');
        }
    });
    it('throws KEY_INVALID for a key that cannot be one', () => {
        expect(() => check(text, 'x')).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
        expect(() => check(text)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    });
});
describe('the reader of trees', () => {
    it('leaves the ledger as it was', async () => {
        const { file } = await copyOfLedger();
        const digest = () => createHash('sha256').update(readFileSync(file)).digest('hex');
        const before = digest();
        prove(file, 1);
        expect(digest()).toBe(before);
    });
    it('refuses what is no shard', async () => {
        const root = tempDir();
        const other = `${root}/other.sqlite`;
        new Database(other).exec('CREATE TABLE x (y)').close();
        expect(() => TreeReader.open(other)).toThrow(expect.objectContaining({ code: 'LEDGER_NOT_A_LEDGER' }));
    });
});
