import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { probeStore } from '../../../src/mirror/probe.js';
import { openStore } from '../../../src/mirror/stores/open.js';
import { miniKey, miniNote, miniRoot } from '../../support/mini-ledger.js';
import { collect } from '../../support/store-suite.js';
const base = mkdtempSync(join(tmpdir(), 'sealgate-probe-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const folder = () => join(base, String(++count));
const open = (dir) => openStore(dir, { clock: { now: () => Date.now() * 1000 } });
const find = (findings, check) => findings.find((finding) => finding.check === check);
describe('the probe of a folder', () => {
    it('says that a folder protects against nothing, and leaves nothing behind', async () => {
        const store = open(folder());
        const findings = await collect(probeStore(store, { nonce: 'n' }));
        expect(findings.map(({ check, outcome }) => [check, outcome])).toEqual([
            ['writing', 'passed'],
            ['creating', 'passed'],
            ['protection', 'warned'],
        ]);
        expect(await collect(store.list(''))).toEqual([]);
    });
    it('warns of a folder on the disk of the ledger, also before either is there, and of no other', async () => {
        const ledgerDir = join(folder(), 'ledger');
        const same = await collect(probeStore(open(folder()), { nonce: 'n', ledgerDir }));
        expect(find(same, 'disk')).toMatchObject({ outcome: 'warned', message: expect.stringMatching(/same disk/) });
        const other = await collect(probeStore(open(folder()), { nonce: 'n', ledgerDir: '/proc/self' }));
        expect(find(other, 'disk')).toMatchObject({ outcome: 'passed' });
    });
    it('knows its own log from another one under the same name', async () => {
        const key = miniKey('log.example/c/0', 1);
        const origin = 'log.example/c/0/7';
        const probe = async (dir, vkeys) => find(await collect(probeStore(open(dir), { nonce: 'n', log: { origin, vkeys } })), 'prefix');
        const dir = folder();
        expect(await probe(dir, [])).toMatchObject({
            outcome: 'passed',
            message: expect.stringMatching(/nothing is mirrored/),
        });
        await open(dir).replace(`${origin}/checkpoint`, Buffer.from(miniNote(key, origin, 3, miniRoot([]))), 'partial');
        expect(await probe(dir, [key.vkey])).toMatchObject({
            outcome: 'passed',
            message: expect.stringMatching(/3 entries/),
        });
        expect(await probe(dir, [])).toMatchObject({
            outcome: 'failed',
            message: expect.stringMatching(/no key of that log/),
        });
        const other = miniKey('log.example/c/0', 2);
        expect(await probe(dir, [other.vkey])).toMatchObject({
            outcome: 'failed',
            message: expect.stringMatching(/another log/),
        });
        await open(dir).replace(`${origin}/checkpoint`, Buffer.from(miniNote(key, `${origin}1`, 3, miniRoot([]))), 'partial');
        expect(await probe(dir, [key.vkey])).toMatchObject({
            outcome: 'failed',
            message: expect.stringMatching(/another log/),
        });
    });
    it('reports what it could not do as its last finding', async () => {
        const dir = folder();
        mkdirSync(join(dir, 'probe', 'n'), { recursive: true });
        const findings = await collect(probeStore(open(dir), { nonce: 'n' }));
        expect(findings).toEqual([
            { check: 'store', outcome: 'failed', message: expect.stringMatching(/^MIRROR_FOLDER: /) },
        ]);
    });
});
describe('a store that does not do what it says', () => {
    /** A folder's store with one promise broken. */
    const broken = (over) => {
        const store = open(folder());
        return new Proxy(store, {
            get: (target, name) => {
                const own = over[name] ?? target[name];
                return typeof own === 'function' ? own.bind(target) : own;
            },
        });
    };
    it('is found when it writes over an occupied key', async () => {
        const dir = folder();
        const store = broken({
            async createProbe(key, bytes) {
                await open(dir).replace(key, bytes, 'partial');
                return 'created';
            },
            get: (key) => open(dir).get(key),
        });
        expect(find(await collect(probeStore(store, { nonce: 'n' })), 'creating')).toMatchObject({ outcome: 'failed' });
    });
    it('is found when it gives back something else', async () => {
        const store = broken({ get: async () => Buffer.from('something else') });
        expect(find(await collect(probeStore(store, { nonce: 'n' })), 'writing')).toMatchObject({ outcome: 'failed' });
    });
});
