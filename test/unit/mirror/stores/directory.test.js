import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync, } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../../src/mirror/stores/open.js';
import { collect, storeSuite } from '../../../support/store-suite.js';
const base = mkdtempSync(join(tmpdir(), 'sealgate-store-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const NOW = 1_800_000_000_000;
const clock = { now: () => NOW * 1000 };
const folder = () => join(base, String(++count), 'deep');
storeSuite('a folder', () => openStore(folder(), { clock }));
describe('a folder as a store', () => {
    it('is named by a file: URL, by which it can be opened, too', async () => {
        const dir = join(folder(), 'with space');
        const store = openStore(dir, { clock });
        await store.create('a', Buffer.from('x'), 'log');
        expect(store.url).toMatch(/^file:\/\/\/.*with%20space$/);
        expect(String(await openStore(store.url, { clock }).get('a'))).toBe('x');
    });
    it('leaves no unfinished file behind, and removes those of a crash when they are old', async () => {
        const dir = folder();
        mkdirSync(join(dir, '.unfinished'), { recursive: true });
        for (const [name, age] of [
            ['old', 3601],
            ['young', 3599],
        ]) {
            const path = join(dir, '.unfinished', name);
            writeFileSync(path, 'half');
            utimesSync(path, NOW / 1000 - age, NOW / 1000 - age);
        }
        const store = openStore(dir, { clock });
        await store.create('a', Buffer.from('x'), 'log');
        await store.create('a', Buffer.from('x'), 'log');
        expect(readdirSync(join(dir, '.unfinished'))).toEqual(['young']);
        expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['a']);
    });
    it('follows no link and waits for no pipe', async () => {
        const dir = folder();
        mkdirSync(dir, { recursive: true });
        writeFileSync(join(base, 'secret'), 'secret');
        symlinkSync(join(base, 'secret'), join(dir, 'link'));
        execFileSync('mkfifo', [join(dir, 'pipe')]);
        mkdirSync(join(dir, 'folder'));
        const store = openStore(dir, { clock });
        for (const key of ['link', 'pipe', 'folder']) {
            await expect(store.get(key), key).rejects.toMatchObject({ code: 'MIRROR_FOLDER' });
            expect(await store.create(key, Buffer.of(1), 'log')).toBe('occupied');
        }
        expect(await collect(store.list(''))).toEqual([]);
    });
    it.skipIf(process.getuid?.() === 0)('says what to do when it may not write', async () => {
        const dir = folder();
        mkdirSync(dir, { recursive: true });
        chmodSync(dir, 0o500);
        await expect(openStore(dir, { clock }).create('a', Buffer.of(1), 'log')).rejects.toMatchObject({
            code: 'MIRROR_FOLDER',
            message: expect.stringContaining('owner and mode'),
        });
    });
    it('says so when a file stands where it belongs, and works once that is gone', async () => {
        const dir = folder();
        mkdirSync(join(dir, '..'), { recursive: true });
        writeFileSync(dir, 'a file');
        const store = openStore(dir, { clock });
        await expect(store.create('a', Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_FOLDER' });
        rmSync(dir);
        expect(await store.create('a', Buffer.of(1), 'log')).toBe('created');
    });
    it('makes nothing before the first write', () => {
        const dir = folder();
        openStore(dir, { clock }).close();
        expect(existsSync(dir)).toBe(false);
    });
});
describe('the URL of a mirror', () => {
    it('is refused when it names no store that there is', () => {
        for (const url of ['', 'gs://bucket', 'https://bucket.s3.amazonaws.com/x', 'file://host/dir']) {
            expect(() => openStore(url, { clock }), url).toThrow(expect.objectContaining({ code: 'MIRROR_URL_INVALID' }));
        }
    });
});
