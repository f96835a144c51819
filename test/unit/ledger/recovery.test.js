import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync, } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { canMount, decision, event, LOG_NAME, openTestLedger, places, rejection, startChild, tempDir, testKey, withMount, } from './temp-ledger.js';
/** A ledger that was closed in order, with two complete subtrees and a bit. */
async function closedLedger() {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.append('audit', Array.from({ length: 600 }, (_, i) => event({ i })));
    await ledger.append('decision', [decision('last')]);
    await ledger.close('done');
    return root;
}
/** Changes a closed shard as somebody with the file could: the triggers are put back as they were. */
function tamper(root, sql) {
    const db = new Database(places(root).shard);
    const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers)
        db.exec(`DROP TRIGGER ${name}`);
    db.exec(sql);
    for (const trigger of triggers)
        db.exec(trigger.sql);
    db.close();
}
const startBodies = (root) => {
    const reader = LedgerReader.open(places(root).dir);
    const bodies = [...reader.entries(0, 0)]
        .filter(({ leaf }) => leaf.kind === 'start')
        .map(({ body }) => JSON.parse(body.toString()));
    reader.close();
    return bodies;
};
describe('starting', () => {
    it('creates the folder and shard 0 with a start entry that says who writes and that nothing was there', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        expect(ledger).toMatchObject({
            shard: 0,
            origin: `${LOG_NAME}/0`,
            recovery: { clean: true, entries: 0, unsigned: 0 },
        });
        expect(startBodies(root)).toEqual([
            {
                origin: `${LOG_NAME}/0`,
                vkey: testKey(root).vkey,
                version: '0.0.0-test',
                settings: `sha256:${'0'.repeat(64)}`,
                recovery: { clean: true, entries: 0, unsigned: 0 },
            },
        ]);
        expect(statSync(places(root).dir).mode & 0o077).toBe(0);
    });
    it('continues a ledger that was closed in order, and says so', async () => {
        const root = await closedLedger();
        const ledger = await openTestLedger(root);
        expect(ledger.recovery).toEqual({ clean: true, entries: 603, unsigned: 0 });
        expect((await ledger.append('decision', [decision('next')]))[0]?.seq).toBe(604);
        expect(startBodies(root)[1]?.recovery).toEqual(ledger.recovery);
    });
    it('says what a process left that was killed: not clean, and how many entries nobody signed', async () => {
        const root = tempDir();
        const child = startChild(root, 'load', ['a']);
        await child.line('acked');
        await sleep(100);
        child.process.kill('SIGKILL');
        await child.ended;
        expect(readdirSync(places(root).dir)).toContain('shard-000000.sqlite-wal');
        const ledger = await openTestLedger(root);
        expect(ledger.recovery.clean).toBe(false);
        expect(ledger.recovery.entries).toBeGreaterThan(1);
        expect(ledger.recovery.unsigned).toBeLessThan(ledger.recovery.entries);
        expect(startBodies(root)[1]?.recovery).toEqual(ledger.recovery);
        expect(ledger.head().signedSize).toBe(ledger.recovery.entries + 1);
    });
    it('removes what a crash left of a shard that had no name yet', async () => {
        const root = tempDir();
        const { dir, shard } = places(root);
        mkdirSync(dir);
        writeFileSync(`${shard}.new`, 'half a database');
        writeFileSync(`${shard}.new-journal`, '');
        const ledger = await openTestLedger(root);
        expect(ledger.recovery.entries).toBe(0);
        expect(readdirSync(dir).filter((name) => name.includes('.new'))).toEqual([]);
    });
    it('starts within a second without reading everything', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root);
        for (let i = 0; i < 20; i++)
            await ledger.append('audit', Array.from({ length: 4000 }, (_, k) => event([i, k])));
        await ledger.close('done');
        const began = performance.now();
        const again = await openTestLedger(root);
        expect(performance.now() - began).toBeLessThan(1500);
        expect(again.recovery.entries).toBe(80_002);
    });
});
describe('a ledger that cannot be continued', () => {
    /** What opening says; that it changed nothing in the file; that the lock is free again. */
    async function refused(root, code, ...words) {
        const { shard } = places(root);
        const before = readFileSync(shard);
        const error = await rejection(openTestLedger(root));
        expect(error.code).toBe(code);
        for (const word of words)
            expect(error.message).toContain(word);
        expect(readFileSync(shard).equals(before)).toBe(true);
        expect((await rejection(openTestLedger(root))).code).toBe(code);
        return error.message;
    }
    it('is refused when a newer release wrote it, and stays as it is', async () => {
        const root = await closedLedger();
        const db = new Database(places(root).shard);
        db.pragma('user_version = 2');
        db.close();
        await refused(root, 'LEDGER_FORMAT_NEWER', 'format 2', 'shard-000000.sqlite');
        expect(() => LedgerReader.open(places(root).dir)).toThrow(expect.objectContaining({ code: 'LEDGER_FORMAT_NEWER' }));
    });
    it('is refused when it is another SQLite database, or none', async () => {
        const root = tempDir();
        const { dir, shard } = places(root);
        mkdirSync(dir);
        const db = new Database(shard);
        db.exec('CREATE TABLE x (y)');
        db.close();
        await refused(root, 'LEDGER_NOT_A_LEDGER', shard);
        writeFileSync(shard, 'This is a text. '.repeat(1000));
        await refused(root, 'LEDGER_NOT_A_LEDGER', shard);
        expect(() => LedgerReader.open(dir)).toThrow(expect.objectContaining({ code: 'LEDGER_NOT_A_LEDGER' }));
    });
    it('is refused when another key signed it, naming both', async () => {
        const root = await closedLedger();
        const own = testKey(root);
        const other = testKey(tempDir());
        const error = await rejection(openTestLedger(root, { key: other }));
        expect(error.code).toBe('LEDGER_WRONG_KEY');
        const label = (vkey) => vkey.split('+').slice(0, 2).join('+');
        expect(error.message).toContain(label(own.vkey));
        expect(error.message).toContain(label(other.vkey));
    });
    it('is refused under another log name', async () => {
        const root = await closedLedger();
        const other = testKey(tempDir(), 'ledger.example/cluster-b/0');
        expect((await rejection(openTestLedger(root, { key: other }))).code).toBe('LEDGER_WRONG_KEY');
    });
    it.each([
        ['to nothing', () => 0],
        ['to some bytes', () => 60],
        ['to its first page', () => 4096],
        ['within a page', (size) => Math.floor(size / 2) + 100],
        ['by its last page', (size) => size - 4096],
    ])('is refused when the file was cut off %s', async (_, length) => {
        const root = await closedLedger();
        const { shard } = places(root);
        truncateSync(shard, length(statSync(shard).size));
        await refused(root, 'LEDGER_CORRUPT', 'sealgate verify');
    });
    it.each([
        ['the last entries were deleted', 'DELETE FROM leaf WHERE seq > 550', 'cut off'],
        [
            'entries and checkpoints were deleted',
            'DELETE FROM leaf WHERE seq > 300; DELETE FROM checkpoint',
            'no checkpoint',
        ],
        [
            'a leaf near the end was changed',
            "UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), 'event', 'eveny') AS BLOB) WHERE seq = 590",
            'root hash',
        ],
        [
            'two leaves were swapped',
            'UPDATE leaf SET seq = 100000 WHERE seq = 600; UPDATE leaf SET seq = 600 WHERE seq = 599; UPDATE leaf SET seq = 599 WHERE seq = 100000',
            'root hash',
        ],
        ['a leaf is missing', 'DELETE FROM leaf WHERE seq = 580', 'not all there'],
        ['a subtree hash was changed', 'UPDATE subtree SET hash = zeroblob(32) WHERE idx = 1', 'root hash'],
        ['a subtree hash is missing', 'DELETE FROM subtree WHERE idx = 0', 'subtree'],
        ['the last bodies are missing', 'DELETE FROM pack WHERE first = (SELECT max(first) FROM pack)', 'bodies'],
        [
            'the checkpoint was changed',
            "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), char(10) || '603' || char(10), char(10) || '604' || char(10)) AS BLOB) WHERE size = 603",
            'checkpoint of size 603',
        ],
        ['the checkpoint is garbage', "UPDATE checkpoint SET note = x'00ff'", 'checkpoint of size 603'],
        [
            'the checkpoint was filed under another size',
            'DELETE FROM checkpoint WHERE size <> 603; UPDATE checkpoint SET size = 602',
            'in fact one of size 603',
        ],
        [
            'an unsigned entry does not follow',
            'DELETE FROM checkpoint WHERE size > 1; UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), \'"size":\', \'"size":1\') AS BLOB) WHERE seq = 200',
            'entry 201',
        ],
        [
            'an unsigned body was changed',
            "DELETE FROM checkpoint WHERE size > 1; UPDATE pack SET codec = 0, data = x'010000000000000000000000000000000000000000' WHERE first = (SELECT max(first) FROM pack)",
            'body of entry 602',
        ],
    ])('is refused when %s', async (_, sql, word) => {
        const root = await closedLedger();
        tamper(root, sql);
        await refused(root, 'LEDGER_CORRUPT', word, 'sealgate verify');
    });
    it('is refused when its triggers are gone', async () => {
        const root = await closedLedger();
        const db = new Database(places(root).shard);
        db.exec('DROP TRIGGER leaf_delete');
        db.close();
        await refused(root, 'LEDGER_CORRUPT', 'leaf_delete is missing');
    });
    it('is refused when a page of the table of leaves is damaged near the end', async () => {
        const root = await closedLedger();
        const { shard } = places(root);
        const db = new Database(shard, { readonly: true });
        const leaf = db.prepare('SELECT leaf FROM leaf WHERE seq = 601').pluck().get();
        db.close();
        const bytes = readFileSync(shard);
        const at = bytes.lastIndexOf(leaf.subarray(0, 40));
        bytes.fill(0xff, at - (at % 4096), at - (at % 4096) + 200);
        writeFileSync(shard, bytes);
        await refused(root, 'LEDGER_CORRUPT', 'sealgate verify');
    });
    it('is refused when the database is gone but its WAL is there: entries may be in it', async () => {
        const root = await closedLedger();
        const { dir, shard } = places(root);
        renameSync(shard, join(root, 'elsewhere.sqlite'));
        writeFileSync(`${shard}-wal`, 'x');
        const error = await rejection(openTestLedger(root));
        expect(error.code).toBe('LEDGER_CORRUPT');
        expect(readdirSync(dir)).not.toContain('shard-000000.sqlite');
    });
    it('is refused when the lock file is damaged, saying that it may be removed', async () => {
        const root = await closedLedger();
        writeFileSync(join(places(root).dir, 'writer.lock'), 'garbage '.repeat(1000));
        await refused(root, 'LEDGER_CORRUPT', 'remove it');
    });
    it('is refused when the file may not be written', async ({ skip }) => {
        if (process.getuid?.() === 0)
            skip('root may write everything');
        const root = await closedLedger();
        chmodSync(places(root).shard, 0o400);
        await refused(root, 'LEDGER_READ_ONLY', 'mode');
    });
    it('is refused on a folder that is mounted read-only', async ({ skip }) => {
        if (!canMount())
            skip('mounting needs Linux, and root or user namespaces');
        const root = await closedLedger();
        const { dir } = places(root);
        const wrap = withMount(`mount --bind '${dir}' '${dir}' && mount -o remount,bind,ro '${dir}'`);
        const said = await startChild(root, 'open', [], wrap).line('error');
        expect(JSON.parse(said.slice('error '.length))).toMatchObject({ code: 'LEDGER_READ_ONLY' });
        expect(said).toContain('read-only');
    });
    it('is refused where the folder is a file', async () => {
        const root = tempDir();
        testKey(root);
        writeFileSync(places(root).dir, '');
        expect((await rejection(openTestLedger(root))).code).toBe('LEDGER_READ_ONLY');
    });
});
describe('what is not a reason to refuse', () => {
    it('is a copy of the files of a closed ledger', async () => {
        const root = await closedLedger();
        const copy = tempDir();
        mkdirSync(places(copy).dir);
        copyFileSync(places(root).shard, places(copy).shard);
        const ledger = await openTestLedger(copy, { key: testKey(root) });
        expect(ledger.recovery).toMatchObject({ clean: true, entries: 603 });
    });
    it('is a journal mode that a tool has changed', async () => {
        const root = await closedLedger();
        const db = new Database(places(root).shard);
        db.pragma('journal_mode = DELETE');
        db.close();
        expect((await openTestLedger(root)).recovery.clean).toBe(true);
    });
    it('is a lock file that is gone', async () => {
        const root = await closedLedger();
        rmSync(join(places(root).dir, 'writer.lock'));
        expect((await openTestLedger(root)).recovery.clean).toBe(true);
    });
});
