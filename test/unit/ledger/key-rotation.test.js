import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createKey, loadKey, previousFileOf, replaceKey, vkeyFileOf } from '../../../src/ledger/key.js';
import { keyEntry, signRotation } from '../../../src/ledger/key-rotation.js';
import { openShard } from '../../../src/ledger/open-shard.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { nextShard } from '../../../src/ledger/rotate.js';
import { verifyLedger } from '../../../src/ledger/verify.js';
import { openRotation, trustedEras } from '../../../src/ledger/verify-rotation.js';
import { createSigner, parseNote, signNote } from '../../../src/tlog/note.js';
import { parseVkey } from '../../../src/tlog/vkey.js';
import { verify as verifyIndependently } from '../../independent/verify.js';
import { event, LOG_NAME, openTestLedger, places, rejection, tempDir, testKey } from './temp-ledger.js';
/** Writes some entries under the key of the folder, the one before it given where its file is there. */
async function write(root, count = 3) {
    const { keyFile } = places(root);
    const previousFile = previousFileOf(keyFile);
    const previousKey = existsSync(previousFile) ? loadKey(previousFile, LOG_NAME) : undefined;
    const ledger = await openTestLedger(root, { key: testKey(root), previousKey });
    for (let i = 0; i < count; i++)
        await ledger.append('audit', [event({ i })]);
    await ledger.close('test');
    rmSync(previousFile, { force: true });
    rmSync(vkeyFileOf(previousFile), { force: true });
    return ledger.vkey;
}
/** Both verifiers' words; that they agree is checked here. */
function judge(root, vkey, checkpoints = []) {
    const { dir } = places(root);
    const report = verifyLedger(dir, { keys: [vkey], checkpoints });
    expect(verifyIndependently(dir, vkey, checkpoints).exitCode).toBe(report.exitCode);
    return report;
}
function keyOf(root, name, log = LOG_NAME) {
    return createKey(join(root, 'other', `${name}.key`), log);
}
describe('rotating the key of a ledger', () => {
    it('is recorded under the old key and goes on under the new, and either key is enough to verify all of it', async () => {
        const root = tempDir();
        const vkeys = [await write(root)];
        for (let i = 0; i < 2; i++) {
            const { previous, next } = replaceKey(places(root).keyFile);
            expect(previous.vkey).toBe(vkeys.at(-1));
            vkeys.push(await write(root));
            expect(next.vkey).toBe(vkeys.at(-1));
        }
        expect(new Set(vkeys).size).toBe(3);
        const reader = LedgerReader.open(places(root).dir);
        expect(reader.shards().map(({ number }) => number)).toEqual([0, 1, 2]);
        for (const { number, size } of reader.shards().slice(0, 2)) {
            const last = reader.get(number, size - 1);
            expect(last?.leaf.kind).toBe('key');
            const { rotation, previous, next } = JSON.parse(last.body.toString());
            expect([previous, next]).toEqual(vkeys.slice(number, number + 2));
            expect(JSON.parse(reader.get(number + 1, 0).body.toString()).rotation).toBe(rotation);
        }
        const outside = reader.checkpoint(0).note.toString();
        reader.close();
        for (const vkey of vkeys) {
            const report = judge(root, vkey, [outside]);
            expect(report).toMatchObject({ status: 'whole', findings: [] });
            expect(report.shards.map((shard) => shard.vkey)).toEqual(vkeys);
            expect(report.notes.filter((note) => note.includes('signed by'))).toHaveLength(2);
        }
        expect(judge(root, keyOf(root, 'stranger').vkey).status).toBe('wrong-key');
    });
    it('is made good by the next start when the process was killed before the next shard had its name', async () => {
        const root = tempDir();
        await write(root);
        const { previous, next } = replaceKey(places(root).keyFile);
        const options = { dir: places(root).dir, logName: LOG_NAME, version: '0', settingsDigest: 'none' };
        const { store, lock } = openShard({ ...options, ...previous }, { now: () => 1_800_000_000_000_000 });
        store.append([keyEntry(previous, next, signRotation(previous, next, 1))], true);
        store.release();
        lock.release();
        expect(judge(root, previous.vkey).status).toBe('whole');
        await write(root);
        for (const { vkey } of [previous, next])
            expect(judge(root, vkey)).toMatchObject({ status: 'whole', findings: [] });
    });
    it('lets nobody go on without the statement: a key that did not sign the newest shard is refused', async () => {
        const root = tempDir();
        await write(root);
        const other = keyOf(root, 'other');
        const open = () => openTestLedger(root, { key: other, previousKey: keyOf(tempDir(), 'third') });
        expect(await rejection(open())).toMatchObject({ code: 'LEDGER_WRONG_KEY' });
        const { vkey } = testKey(root);
        expect(judge(root, vkey).status).toBe('whole');
    });
});
describe('verifying rotated keys', () => {
    /** Shard 0 under `first`, shard 1 under `second`, with this statement in its link. */
    async function forged(statement, entry = true) {
        const root = tempDir();
        await write(root);
        const first = testKey(root);
        const second = keyOf(root, 'second');
        const options = { dir: places(root).dir, logName: LOG_NAME, version: '0', settingsDigest: 'none' };
        const clock = { now: () => 1_800_000_000_000_000 };
        const opened = openShard({ ...options, ...first }, clock);
        const rotation = statement(first, second);
        if (entry)
            opened.store.append([keyEntry(first, second, rotation ?? '')], true);
        const next = nextShard(opened, { ...options, ...second }, clock, rotation);
        opened.store.close();
        next.store.close();
        next.lock.release();
        return { root, first, second };
    }
    const text = (a, b, shard, log = LOG_NAME) => ['sealgate key rotation v1', log, a.vkey, b.vkey, shard, ''].join('\n');
    const signed = (body, ...keys) => signNote(body, keys.map(({ name, privateKey }) => createSigner(name, privateKey)));
    it('accepts the statement that the writer makes', async () => {
        const { root, first, second } = await forged((a, b) => signRotation(a, b, 1));
        for (const { vkey } of [first, second])
            expect(judge(root, vkey)).toMatchObject({ status: 'whole', findings: [] });
    });
    it.each([
        ['no statement', () => undefined],
        ['only the new key signed', (a, b) => signed(text(a, b, 1), b)],
        ['only the old key signed', (a, b) => signed(text(a, b, 1), a)],
        ['it names another shard', (a, b) => signRotation(a, b, 2)],
        ['the keys are the other way round', (a, b) => signRotation(b, a, 1)],
        ['it is of another log', (a, b) => signed(text(a, b, 1, 'example.com/x/0'), a, b)],
        ['it is of another version', (a, b) => signed(text(a, b, 1).replace('v1', 'v2'), a, b)],
        ['it has more lines', (a, b) => signed(`${text(a, b, 1)}more\n`, a, b)],
        ['it was altered', (a, b) => signRotation(a, b, 2).replace('\n2\n', '\n1\n')],
        ['it is not a note', () => 'yes'],
    ])('finds that another key took over: %s', async (_name, statement) => {
        const { root, first, second } = await forged(statement);
        for (const { vkey } of [first, second])
            expect(judge(root, vkey).status).toMatch(/^(tampered|wrong-key)$/);
    });
    it('finds a shard that another given key signs without a statement', async () => {
        const { root, first, second } = await forged(() => undefined);
        const { findings } = verifyLedger(places(root).dir, { keys: [first.vkey, second.vkey] });
        expect(findings).toMatchObject([
            { code: 'link-broken', shard: 1, message: expect.stringContaining('no rotation') },
        ]);
    });
    it('finds that the old key went on after it had been passed on, though it is given', async () => {
        const { root, first, second } = await forged((a, b) => signRotation(a, b, 1));
        // Whoever has the old key makes shard 2 with it.
        const options = { dir: places(root).dir, logName: LOG_NAME, version: '0', settingsDigest: 'none' };
        const clock = { now: () => 1_800_000_000_000_000 };
        const opened = openShard({ ...options, ...second }, clock);
        const next = nextShard(opened, { ...options, ...first }, clock);
        opened.store.close();
        next.store.close();
        next.lock.release();
        for (const { vkey } of [first, second])
            expect(judge(root, vkey).status).toBe('tampered');
        const { findings } = verifyLedger(places(root).dir, { keys: [first.vkey, second.vkey] });
        expect(findings.map(({ code, shard }) => [code, shard])).toContainEqual(['checkpoint-other-key', 2]);
    });
    it('finds that the entry which records the rotation is not there', async () => {
        const { root, first } = await forged((a, b) => signRotation(a, b, 1), false);
        expect(judge(root, first.vkey)).toMatchObject({
            status: 'tampered',
            findings: [{ code: 'link-broken', shard: 1 }],
        });
    });
    it('believes statements only as far as they follow on one another and lead to a given key', () => {
        const root = tempDir();
        const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => keyOf(root, name));
        const rotation = (from, to, shard) => {
            const opened = openRotation(signRotation(from, to, shard));
            if (typeof opened === 'string')
                throw new Error(opened);
            return opened;
        };
        const names = (rotations, trusted) => trustedEras(rotations, [trusted].map(({ vkey }) => parseVkey(vkey))).map(({ from, to, key }) => [from, to, [a, b, c, d].findIndex(({ vkey }) => parseVkey(vkey).id === key.id)]);
        const all = [rotation(b, c, 5), rotation(a, b, 2)];
        for (const key of [a, b, c]) {
            expect(names(all, key)).toEqual([
                [0, 2, 0],
                [2, 5, 1],
                [5, Number.POSITIVE_INFINITY, 2],
            ]);
        }
        expect(names(all, d)).toEqual([]);
        expect(names([rotation(a, b, 2), rotation(c, d, 5)], a)).toEqual([]);
    });
});
describe('replacing a key file', () => {
    it('keeps the old key as the previous one, and replaces nothing before that rotation is recorded', () => {
        const root = tempDir();
        const file = join(root, 'ledger.key');
        const first = createKey(file, LOG_NAME);
        const { previous, next } = replaceKey(file);
        expect(previous).toEqual(first);
        expect(loadKey(file, LOG_NAME)).toEqual(next);
        expect(loadKey(previousFileOf(file), LOG_NAME)).toEqual(first);
        expect(readFileSync(vkeyFileOf(file), 'utf8')).toBe(`${next.vkey}\n`);
        expect(readFileSync(vkeyFileOf(previousFileOf(file)), 'utf8')).toBe(`${first.vkey}\n`);
        expect(() => replaceKey(file)).toThrow(/is still there: start Sealgate/);
        expect(loadKey(file, LOG_NAME)).toEqual(next);
    });
    it('goes on where an interrupted run stopped', () => {
        const file = join(tempDir(), 'ledger.key');
        const first = createKey(file, LOG_NAME);
        linkSync(file, previousFileOf(file)); // the last thing that the interrupted run did
        writeFileSync(`${file}.new`, 'half a key');
        const { previous, next } = replaceKey(file);
        expect(previous).toEqual(first);
        expect(next.vkey).not.toBe(first.vkey);
    });
    it('needs a key that sealgate made, and creates none over another', () => {
        const file = join(tempDir(), 'ledger.key');
        expect(() => replaceKey(file)).toThrow(/not both there/);
        createKey(file, LOG_NAME);
        expect(() => createKey(file, LOG_NAME)).toThrow(/is not replaced/);
    });
    it('signs a statement that no reader of checkpoints takes for one', () => {
        const root = tempDir();
        const statement = signRotation(keyOf(root, 'a'), keyOf(root, 'b'), 7);
        expect(parseNote(statement).text.split('\n')[1]).not.toMatch(/^\d+$/);
    });
});
