import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeBytesOn, levelOf, SpaceWatch } from '../../../src/ledger/space.js';
import { verifyLedger } from '../../../src/ledger/verify.js';
import { decision, event, openTestLedger, places, rejection, tempDir } from './temp-ledger.js';
const MIB = 1024 * 1024;
const LIMITS = { lowBytes: 80 * MIB, reserveBytes: 16 * MIB };
/** A watch of a volume whose free space the test sets, and the changes that it told of. */
function watched(freeBytes) {
    const volume = { free: freeBytes };
    const changes = [];
    const watch = new SpaceWatch({
        ...LIMITS,
        freeBytes: () => {
            if (volume.error !== undefined)
                throw volume.error;
            return volume.free;
        },
        onChange: (state, before) => changes.push([before, state]),
    });
    return { volume, changes, watch };
}
describe('the level of space', () => {
    it('is of the volume that the folder is on', () => {
        expect(freeBytesOn(tempDir())).toBeGreaterThan(0);
    });
    it('is told of once when it changes, and leaves a level only when there is some more room', () => {
        const { volume, changes, watch } = watched(200 * MIB);
        const seen = [];
        for (const [i, free] of [200, 80, 79, 80, 89, 90, 15, 16, 17, 18, 5, 500].entries()) {
            volume.free = free * MIB;
            seen.push(watch.look(i * 1000).level);
        }
        const [plenty, low, reserve] = ['plenty', 'low', 'reserve'];
        expect(seen).toEqual([plenty, plenty, low, low, low, plenty, reserve, reserve, reserve, low, reserve, plenty]);
        expect(changes).toHaveLength(6);
        expect(changes[0]).toEqual(['plenty', { level: 'low', freeBytes: 79 * MIB }]);
    });
    it('never gets better as space gets less', () => {
        const order = ['plenty', 'low', 'reserve', 'full'];
        const bytes = fc.nat(200 * MIB);
        fc.assert(fc.property(bytes, bytes, fc.constantFrom('plenty', 'low', 'reserve', 'full'), (a, b, before) => {
            const [less, more] = [levelOf(Math.min(a, b), LIMITS, before), levelOf(Math.max(a, b), LIMITS, before)];
            expect(order.indexOf(less)).toBeGreaterThanOrEqual(order.indexOf(more));
        }));
    });
    it('is full from when a decision found no room until one does, or there is more room than then', () => {
        const { volume, watch } = watched(3 * MIB);
        watch.noRoom(0);
        expect(watch.look(1, 1000).level).toBe('full');
        expect(watch.look(2000).level).toBe('full');
        watch.wrote(2001);
        expect(watch.look(2002, 1000).level).toBe('reserve');
        watch.noRoom(3000);
        volume.free = 4 * MIB - 1;
        expect(watch.look(4000).level).toBe('full');
        volume.free = 4 * MIB;
        expect(watch.look(5000).level).toBe('reserve');
        volume.free = 300 * MIB;
        expect(watch.look(6000).level).toBe('plenty');
    });
    it('stays what it was while it cannot be measured, which is told of once', () => {
        const { volume, changes, watch } = watched(10 * MIB);
        watch.look(0);
        volume.error = new Error('EIO');
        expect(watch.look(1000)).toEqual({ level: 'reserve', freeBytes: 10 * MIB, problem: 'EIO' });
        watch.look(2000);
        delete volume.error;
        expect(watch.look(3000)).toEqual({ level: 'reserve', freeBytes: 10 * MIB });
        expect(changes).toHaveLength(3);
    });
    it('is not measured more often than asked for', () => {
        const { volume, watch } = watched(300 * MIB);
        watch.look(0, 100);
        volume.free = 0;
        expect(watch.look(99, 100).level).toBe('plenty');
        expect(watch.look(100, 100).level).toBe('reserve');
    });
});
describe('a ledger whose volume fills up', () => {
    it('refuses the audit stream first, takes decisions from the reserve, and goes on when there is room', async () => {
        const root = tempDir();
        let free = 300 * MIB;
        const told = [];
        const ledger = await openTestLedger(root, {
            space: { ...LIMITS, freeBytes: () => free },
            onSpace: ({ level }, before) => told.push(`${before} → ${level}`),
        });
        await ledger.append('audit', [event(1)]);
        // What waits counts as written: a batch that would reach into the reserve is refused beforehand.
        free = 20 * MIB;
        await expect.poll(() => ledger.space().level, { timeout: 10_000 }).toBe('low');
        const large = event('x'.repeat(5 * MIB));
        expect((await rejection(ledger.append('audit', [large]))).code).toBe('LEDGER_SPACE_LOW');
        await ledger.append('audit', [event(2)]);
        free = 15 * MIB;
        await expect.poll(() => ledger.space().level, { timeout: 10_000 }).toBe('reserve');
        const refused = await rejection(ledger.append('audit', [event(3)]));
        expect(refused.code).toBe('LEDGER_SPACE_LOW');
        expect(refused.message).toContain('ledger.reserveBytes');
        await ledger.append('decision', [decision(1)]);
        free = 300 * MIB;
        await expect.poll(() => ledger.space().level, { timeout: 10_000 }).toBe('plenty');
        await ledger.append('audit', [event(4)]);
        expect(told).toEqual(['plenty → low', 'low → reserve', 'reserve → plenty']);
        expect(ledger.stats().queued.audit).toEqual({ entries: 0, bytes: 0 });
        await ledger.close('test');
        expect(verifyLedger(places(root).dir, { keys: [ledger.vkey] })).toMatchObject({
            status: 'whole',
            shards: [{ entries: 6 }],
        });
    });
    it('keeps nothing where no reserve is configured', async () => {
        const ledger = await openTestLedger(tempDir(), {
            space: { lowBytes: 0, reserveBytes: 0, freeBytes: () => 1 },
        });
        await ledger.append('audit', [event(1)]);
        expect(ledger.space().level).toBe('plenty');
    });
});
