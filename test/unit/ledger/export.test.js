// Exports: what is in the folder, what continues and what refuses. That other tools read them is test/interop/fsck.test.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { exportTiles } from '../../../src/ledger/export.js';
import { LedgerReader } from '../../../src/ledger/reader.js';
import { TreeReader } from '../../../src/ledger/tree-reader.js';
import { openCheckpoint } from '../../../src/tlog/checkpoint.js';
import { decodeEntryBundle } from '../../../src/tlog/entry-bundle.js';
import { rangeRoot } from '../../../src/tlog/subtree.js';
import { tileNodeReader } from '../../../src/tlog/tile.js';
import { tilePath, tilesBetween } from '../../../src/tlog/tile-path.js';
import { createVerifier } from '../../../src/tlog/verifier.js';
import { canMount, event, openTestLedger, places, tempDir, withMount } from './temp-ledger.js';
const ORIGIN = 'ledger.example/cluster-a/0/0';
function exporting(file, dir, onProgress) {
    const shard = TreeReader.open(file);
    try {
        return exportTiles(shard, dir, onProgress === undefined ? {} : { onProgress });
    }
    finally {
        shard.close();
    }
}
/** A ledger of `size` entries of which all are signed: still open, or closed and then ended by `stop`. */
async function ledgerOf(size, root = tempDir()) {
    const ledger = await openTestLedger(root, { checkpointIntervalMs: 60_000 });
    const count = size - ledger.head().size - 1;
    await ledger.append('audit', Array.from({ length: count }, (_, i) => event({ n: i })));
    await ledger.close('done');
    return ledger;
}
function files(dir) {
    return readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1))
        .sort();
}
describe('an export', () => {
    it('holds the checkpoint, every tile and every bundle of its size, and nothing else', async () => {
        const root = tempDir();
        const { vkey } = await ledgerOf(600, root);
        const dir = join(root, 'new', 'tiles');
        const seen = [];
        expect(exporting(places(root).shard, dir, (done) => seen.push(done))).toEqual({
            origin: ORIGIN,
            size: 600,
            before: 0,
            files: 7,
        });
        expect(seen).toEqual([256, 512, 600]);
        const tiles = [...tilesBetween(0, 600)];
        const bundles = tiles.filter(({ level }) => level === 0).map((tile) => ({ ...tile, kind: 'entries' }));
        expect(files(dir)).toEqual(['checkpoint', ...tiles.map(tilePath), ...bundles.map(tilePath)].sort());
        const note = readFileSync(join(dir, 'checkpoint'));
        const { root: signed } = openCheckpoint(note, { verifiers: [createVerifier(vkey)], origin: ORIGIN });
        const node = tileNodeReader(600, (tile) => readFileSync(join(dir, tilePath(tile))));
        expect(rangeRoot(0, 600, node)).toEqual(Buffer.from(signed));
        const reader = LedgerReader.open(places(root).dir);
        const leaves = bundles.flatMap((bundle) => decodeEntryBundle(readFileSync(join(dir, tilePath(bundle))), bundle.width));
        expect(leaves.map((leaf) => leaf.toString())).toEqual([...reader.entries(0, 0)].map(({ leafBytes }) => leafBytes.toString()));
        reader.close();
    });
    it('of a live ledger is of its newest checkpoint, not of what came after', async () => {
        const root = tempDir();
        const ledger = await openTestLedger(root, { checkpointIntervalMs: 60_000 });
        await ledger.append('audit', [event(1)]);
        const dir = join(root, 'tiles');
        expect(exporting(places(root).shard, dir).size).toBe(1);
        expect(files(dir)).toEqual(['checkpoint', 'tile/0/000.p/1', 'tile/entries/000.p/1']);
    });
    it.each([
        [1, 2],
        [255, 256],
        [256, 257],
        [200, 513],
        [512, 700],
    ])('of %i entries grows to one of %i that is the same as one made at once', async (first, second) => {
        const root = tempDir();
        const [grown, whole] = [join(root, 'grown'), join(root, 'whole')];
        if (first === 1) {
            const ledger = await openTestLedger(root, { checkpointIntervalMs: 60_000 });
            exporting(places(root).shard, grown);
            await ledger.close('done');
        }
        else {
            await ledgerOf(first, root);
            exporting(places(root).shard, grown);
            // `start` is entry `first`; the ledger cannot grow by one entry and be closed again.
            if (second === first + 1)
                await openTestLedger(root, { checkpointIntervalMs: 60_000 });
            else
                await ledgerOf(second, root);
        }
        expect(exporting(places(root).shard, grown)).toMatchObject({ size: second, before: first });
        expect(exporting(places(root).shard, whole)).toMatchObject({ size: second, before: 0 });
        for (const name of files(whole))
            expect(readFileSync(join(grown, name))).toEqual(readFileSync(join(whole, name)));
    });
    it('that is up to date is left as it is', async () => {
        const root = tempDir();
        await ledgerOf(300, root);
        const dir = join(root, 'tiles');
        exporting(places(root).shard, dir);
        const before = files(dir);
        expect(exporting(places(root).shard, dir)).toMatchObject({ size: 300, before: 300, files: 0 });
        expect(files(dir)).toEqual(before);
    });
    it('that was interrupted has no checkpoint, and is completed', async () => {
        const root = tempDir();
        await ledgerOf(600, root);
        const dir = join(root, 'tiles');
        const stop = (done) => {
            if (done === 512)
                throw new Error('interrupted');
        };
        expect(() => exporting(places(root).shard, dir, stop)).toThrow('interrupted');
        expect(existsSync(join(dir, 'checkpoint'))).toBe(false);
        expect(files(dir)).toContain('tile/entries/001');
        expect(exporting(places(root).shard, dir)).toMatchObject({ size: 600, before: 0, files: 7 });
        expect(files(dir).filter((name) => name.startsWith('.'))).toEqual([]);
    });
    it('is refused where something else is, and changes nothing there', async () => {
        const root = tempDir();
        await ledgerOf(2, root);
        const file = places(root).shard;
        const cases = [
            ['notes.txt', 'mine'],
            ['tile/0/000.p/1', 'somebody’s'],
            ['checkpoint', 'not one'],
            ['checkpoint', 'other.example/log\n2\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— x AAAAAAAA\n'],
            ['.sealgate-export', 'other.example/log\n'],
        ];
        for (const [i, [name, content]] of cases.entries()) {
            const dir = join(root, `case-${i}`);
            mkdirSync(join(dir, name, '..'), { recursive: true });
            writeFileSync(join(dir, name), content);
            expect(() => exporting(file, dir)).toThrow(expect.objectContaining({ code: 'EXPORT_FAILED' }));
            expect(files(dir)).toEqual([name]);
            expect(readFileSync(join(dir, name), 'utf8')).toBe(content);
        }
        expect(() => exporting(file, places(root).dir)).toThrow(expect.objectContaining({ code: 'EXPORT_FAILED' }));
        expect(() => exporting(file, file)).toThrow(expect.objectContaining({ code: 'EXPORT_FAILED' }));
    });
    it('of a log is not continued by another history of the same name, nor by an older one', async () => {
        const root = tempDir();
        await ledgerOf(300, root);
        const dir = join(root, 'tiles');
        exporting(places(root).shard, dir);
        const before = files(dir);
        for (const size of [300, 400, 200]) {
            const fork = tempDir();
            await ledgerOf(size, fork);
            expect(() => exporting(places(fork).shard, dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT', message: expect.stringContaining('does not continue') }));
        }
        expect(files(dir)).toEqual(before);
    });
    it('of a changed ledger gets no checkpoint', async () => {
        const root = tempDir();
        await ledgerOf(600, root);
        const db = new Database(places(root).shard);
        const { sql } = db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'leaf_update'").get();
        db.exec("DROP TRIGGER leaf_update; UPDATE leaf SET leaf = x'7b7d' WHERE seq = 100");
        db.exec(sql);
        db.close();
        const dir = join(root, 'tiles');
        expect(() => exporting(places(root).shard, dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
        expect(existsSync(join(dir, 'checkpoint'))).toBe(false);
    });
    it.runIf(canMount())('reads a shard in a folder where nothing can be written, and leaves no copy behind', async () => {
        const root = tempDir();
        await ledgerOf(300, root);
        const { dir, shard } = places(root);
        const temporary = join(root, 'tmp');
        mkdirSync(temporary);
        // A database in WAL mode, without the -wal and -shm that SQLite would have to create beside it.
        expect(readdirSync(dir).filter((name) => name.startsWith('shard-'))).toEqual(['shard-000000.sqlite']);
        const [command, ...args] = withMount('mount --bind "$D" "$D" && mount -o remount,ro,bind "$D"');
        const source = new URL('../../../src/ledger/tree-reader.ts', import.meta.url).href;
        const script = `const { TreeReader } = await import('${source}');
      const { readdirSync, writeFileSync } = await import('node:fs');
      try { writeFileSync('${dir}/x', ''); throw new Error('not read-only'); } catch (e) { if (e.code !== 'EROFS') throw e; }
      const tree = TreeReader.open('${shard}');
      const copies = readdirSync('${temporary}').length;
      console.log(tree.head().size, copies);
      tree.close();`;
        const { stdout, stderr } = spawnSync(command, [...args, process.execPath, '--no-warnings', '--input-type=module', '-e', script], { encoding: 'utf8', env: { ...process.env, D: dir, TMPDIR: temporary } });
        expect({ stdout, stderr }).toEqual({ stdout: '300 1\n', stderr: '' });
        expect(readdirSync(temporary)).toEqual([]);
    });
});
