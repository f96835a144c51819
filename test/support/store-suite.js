// What every store of mirrored objects promises (src/mirror/stores/store.ts), as tests that run over any of them.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
export async function collect(items) {
    const all = [];
    for await (const item of items)
        all.push(item);
    return all;
}
/** `fresh` opens a store that is empty. */
export function storeSuite(name, fresh) {
    describe(`${name} keeps the promises of a store`, () => {
        it('gives back what was created, byte for byte, empty and binary alike', async () => {
            const store = await fresh();
            for (const [key, bytes] of [
                ['log.example/c/0/0/tile/0/000', randomBytes(8192)],
                ['log.example/c/0/0/bodies/x001/234', Buffer.alloc(0)],
                ['plain', Buffer.from([0, 255, 13, 10])],
            ]) {
                expect(await store.create(key, bytes, 'log')).toBe('created');
                expect(await store.get(key)).toEqual(bytes);
            }
            store.close();
        });
        it('refuses to create over an occupied key, and leaves what is there', async () => {
            const store = await fresh();
            expect(await store.create('a/b', Buffer.from('first'), 'log')).toBe('created');
            expect(await store.create('a/b', Buffer.from('second'), 'log')).toBe('occupied');
            expect(String(await store.get('a/b'))).toBe('first');
            store.close();
        });
        it('lets only one of many that create the same key at once have it', async () => {
            const store = await fresh();
            const results = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => store.create('race', Buffer.from(`writer ${i}`), 'partial')));
            // S3 may also answer a loser with a conflict that is worth another try.
            const won = results.flatMap((result, i) => result.status === 'fulfilled' && result.value === 'created' ? [i] : []);
            expect(won).toHaveLength(1);
            expect(String(await store.get('race'))).toBe(`writer ${won[0]}`);
            store.close();
        });
        it('replaces what is there, and what is not', async () => {
            const store = await fresh();
            await store.replace('checkpoint', Buffer.from('1'), 'partial');
            await store.replace('checkpoint', Buffer.from('22'), 'partial');
            expect(String(await store.get('checkpoint'))).toBe('22');
            store.close();
        });
        it('knows nothing of a key that nobody wrote', async () => {
            const store = await fresh();
            expect(await store.get('no/such/key')).toBeUndefined();
            await store.create('a', Buffer.from('x'), 'log');
            expect(await store.get('a/below-an-object')).toBeUndefined();
            expect(await collect(store.list('no/'))).toEqual([]);
            expect(await collect(store.versions('no/'))).toEqual([]);
            store.close();
        });
        it('lists by prefix in key order, with sizes, however many there are', async () => {
            const store = await fresh();
            const keys = ['t/000', 't/000.p/1', 't/000.p/12', 't/001', 't/x001/000', 'u/1', 'tt'];
            for (const [i, key] of [...keys].reverse().entries())
                await store.create(key, Buffer.alloc(i), 'partial');
            const sorted = [...keys].sort();
            const size = (key) => keys.length - 1 - keys.indexOf(key);
            expect(await collect(store.list(''))).toEqual(sorted.map((key) => ({ key, size: size(key) })));
            const under = (prefix) => sorted.filter((key) => key.startsWith(prefix));
            for (const prefix of ['t/', 't/0', 't/000.p/', 't/000.p/1', 't', 'x']) {
                expect((await collect(store.list(prefix))).map(({ key }) => key)).toEqual(under(prefix));
            }
            const versions = await collect(store.versions('t/'));
            expect(versions.map(({ key }) => key)).toEqual(under('t/'));
            for (const version of versions) {
                expect(version).toMatchObject({ newest: true, deleteMarker: false, size: size(version.key) });
                expect(String(await store.get(version.key, { version: version.version }))).toHaveLength(size(version.key));
            }
            store.close();
        });
        it('gives no object above the size that is asked for', async () => {
            const store = await fresh();
            await store.create('large', Buffer.alloc(1001), 'log');
            expect(await store.get('large', { maxBytes: 1001 })).toHaveLength(1001);
            await expect(store.get('large', { maxBytes: 1000 })).rejects.toMatchObject({ code: 'MIRROR_OBJECT_TOO_LARGE' });
            store.close();
        });
        it('takes no key that leads out of the prefix or is no key', async () => {
            const store = await fresh();
            const bad = ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/./b', '.hidden', 'a/.b', 'a b', 'ä', 'a\u0000', 'a\n'];
            for (const key of [...bad, 'x'.repeat(1025)]) {
                await expect(store.create(key, Buffer.of(1), 'log'), key).rejects.toMatchObject({ code: 'MIRROR_KEY_INVALID' });
                await expect(store.replace(key, Buffer.of(1), 'log')).rejects.toMatchObject({ code: 'MIRROR_KEY_INVALID' });
                await expect(store.get(key)).rejects.toMatchObject({ code: 'MIRROR_KEY_INVALID' });
            }
            store.close();
        });
        it('says what holds an object, and nothing of one that is not there', async () => {
            const store = await fresh();
            await store.create('one', Buffer.of(1), 'partial');
            const [version] = await collect(store.versions('one'));
            expect(await store.retention('one', version?.version ?? '')).toMatchObject({ legalHold: false });
            expect(await store.retention('two', version?.version ?? '')).toBeUndefined();
            store.close();
        });
    });
}
