import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fsyncAncestors, listShards, refusedFileSystem, refuseNetworkFileSystem, refuseOrphanedWal, removeUnfinished, } from '../../../src/ledger/files.js';
import { tempDir } from './temp-ledger.js';
function folderWith(...names) {
    const dir = tempDir();
    for (const name of names)
        writeFileSync(join(dir, name), '');
    return dir;
}
describe('ledger folder', () => {
    it('knows its shards, in the order of their numbers, and nothing else', () => {
        const dir = folderWith('shard-000010.sqlite', 'shard-000002.sqlite', 'shard-1000000.sqlite', 'shard-3.sqlite', 'shard-000002.sqlite-wal');
        writeFileSync(join(dir, 'shard-0000004.sqlite'), ''); // not how 4 is written
        expect(listShards(dir).map(({ number }) => number)).toEqual([2, 10, 1_000_000]);
    });
    it('removes shards that a crash left without a name, with their journals, and nothing else', () => {
        const dir = folderWith('shard-000000.sqlite', 'shard-000001.sqlite.new', 'shard-000001.sqlite.new-journal', 'other.new');
        removeUnfinished(dir);
        expect(readdirSync(dir).sort()).toEqual(['other.new', 'shard-000000.sqlite']);
    });
    it('refuses a WAL whose database is gone', () => {
        refuseOrphanedWal(folderWith('shard-000000.sqlite', 'shard-000000.sqlite-wal'));
        expect(() => refuseOrphanedWal(folderWith('shard-000000.sqlite-wal'))).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    });
    it('refuses network file systems by the numbers of statfs(2), and takes local ones', () => {
        expect([0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x00c36400, 0x65735546].map(refusedFileSystem)).toEqual([
            'NFS',
            'CIFS',
            'SMB2',
            '9P',
            'CephFS',
            'FUSE',
        ]);
        expect([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630].map(refusedFileSystem)).toEqual(Array(5).fill(undefined));
        const dir = join(tempDir(), 'x');
        mkdirSync(dir);
        expect(() => refuseNetworkFileSystem(dir)).not.toThrow();
    });
});
describe('fsyncAncestors', () => {
    it('goes up from a new folder, relative or not, and ends at another file system', () => {
        const dir = join(tempDir(), 'a', 'b');
        mkdirSync(dir, { recursive: true });
        expect(() => fsyncAncestors(dir)).not.toThrow();
        expect(() => fsyncAncestors(relative(process.cwd(), dir))).not.toThrow();
        expect(() => fsyncAncestors(join(dir, 'missing'))).toThrow(/ENOENT/);
    });
    it('ends at a folder that may not be read, which is not one that we made', ({ skip }) => {
        if (process.getuid?.() === 0)
            skip('root may read everything');
        const top = tempDir();
        const dir = join(top, 'closed', 'own');
        mkdirSync(dir, { recursive: true });
        chmodSync(join(top, 'closed'), 0o300);
        expect(() => fsyncAncestors(dir)).not.toThrow();
        chmodSync(join(top, 'closed'), 0o700);
    });
});
