// Partial objects of a log that is idle for longer than their lock lasts.
import { describe, expect, it } from 'vitest';
import { LedgerPush } from '../../../src/mirror/ledger-push.ts';
import { Patience } from '../../../src/mirror/patience.ts';
import { Uploader } from '../../../src/mirror/uploader.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { event, LOG_NAME, openTestLedger, places, tempDir, testKey } from '../ledger/temp-ledger.ts';

const HOUR_MS = 3_600_000;
const AFTER_MS = 84 * HOUR_MS;
const LOCK_MS = 2 * AFTER_MS;

function scene() {
  const root = tempDir();
  const { dir } = places(root);
  const store = new MemoryStore();
  const lines: string[] = [];
  let now = store.now.getTime();
  const wait = (ms: number) => {
    now += ms;
    store.now = new Date(now);
  };
  const write = async (count: number) => {
    const ledger = await openTestLedger(root);
    for (let i = 0; i < count; i += 50) {
      const some = Array.from({ length: Math.min(50, count - i) }, (_, j) => event({ i: i + j }));
      await ledger.append('audit', some);
    }
    await ledger.close('test');
  };
  const mirror = () => {
    const patience = new Patience({
      signal: new AbortController().signal,
      onFailure: (error) => {
        throw error;
      },
      onSuccess: () => undefined,
      random: () => 0,
      sleep: async () => undefined,
      now: () => now,
    });
    const log = (_level: string, _fields: object, message: string) => void lines.push(message);
    const uploader = new Uploader(store, patience, 4, log);
    const renewal = { afterMs: AFTER_MS, now: () => now };
    return new LedgerPush({ ledgerDir: dir, uploader, log, onPushed: () => undefined, renewal });
  };
  /** Versions that partial locks protect now, by key. */
  const locked = () => {
    const found = new Map<string, number>();
    for (const key of store.keys(LOG_NAME)) {
      const held = (store.objects.get(key) ?? []).filter(({ modified }) => now - modified.getTime() < LOCK_MS);
      found.set(key, held.length);
    }
    return found;
  };
  const needed = () => store.keys(LOG_NAME).filter((key) => key.includes('.p/') || key.endsWith('/checkpoint'));
  return { root, store, lines, wait, write, mirror, locked, needed };
}

describe('partial objects', () => {
  it('of an idle log are written again before their locks end, all of them and with the same content', async () => {
    const { root, store, lines, wait, write, mirror, locked, needed } = scene();
    await write(600);
    const running = mirror();
    await running.round(true);
    const before = new Map(needed().map((key) => [key, store.bytes(key)]));
    expect([...before.keys()].filter((key) => key.includes('/tile/1/'))).toHaveLength(1);
    for (let hours = 0; hours < 24 * 40; hours += 6) {
      wait(6 * HOUR_MS);
      await running.round(true);
      for (const key of needed()) expect(locked().get(key), `${key} after ${hours} h`).toBeGreaterThan(0);
    }
    expect(new Map(needed().map((key) => [key, store.bytes(key)]))).toEqual(before);
    const full = store.keys(LOG_NAME).filter((key) => !before.has(key));
    for (const key of full) expect(store.objects.get(key), key).toHaveLength(1);
    for (const key of before.keys()) expect(store.objects.get(key)?.length, key).toBeLessThan(14);
    expect(lines).toEqual([]);
    const { vkey } = testKey(root);
    expect(await verifyMirror(store, { keys: [vkey], nowMs: store.now.getTime() })).toMatchObject({ status: 'whole' });
  });

  it('are not written again by each start, but by one that comes when it is time', async () => {
    const { store, wait, write, mirror, needed } = scene();
    await write(300);
    await mirror().round(true);
    const count = () => needed().map((key) => store.objects.get(key)?.length);
    const before = count();
    for (let i = 0; i < 3; i++) {
      wait(HOUR_MS);
      await mirror().round(true);
    }
    expect(count()).toEqual(before);
    wait(AFTER_MS);
    await mirror().round(true);
    expect(count()).toEqual(before.map((versions) => (versions ?? 0) + 1));
  });
});
