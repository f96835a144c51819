// What somebody without the key puts beside a mirror costs a finding, and never the restore.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listShards } from '../../../src/ledger/files.ts';
import { loadKey, previousFileOf, replaceKey } from '../../../src/ledger/key.ts';
import { signRotation } from '../../../src/ledger/key-rotation.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { encodeBodyBundle } from '../../../src/mirror/layout.ts';
import { restoreLedger } from '../../../src/mirror/restore.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { miniKey, miniNote } from '../../support/mini-ledger.ts';
import { mirrorShard } from '../../support/mirror-of.ts';
import { event, LOG_NAME, openTestLedger, places, tempDir, testKey } from '../ledger/temp-ledger.ts';

/** Shard 0 under one key and shard 1 under the next, mirrored. */
async function mirrored(): Promise<{ store: MemoryStore; root: string; vkey: string }> {
  const root = tempDir();
  const { dir, keyFile } = places(root);
  const first = await openTestLedger(root);
  await first.append('audit', [event('one')]);
  await first.close('first');
  replaceKey(keyFile);
  const previousKey = loadKey(previousFileOf(keyFile), LOG_NAME);
  const second = await openTestLedger(root, { key: testKey(root), previousKey });
  await second.append(
    'audit',
    Array.from({ length: 300 }, (_, n) => event({ n })),
  );
  await second.close('second');
  const store = new MemoryStore();
  for (const { path } of listShards(dir)) await mirrorShard(store, path);
  return { store, root, vkey: second.vkey };
}

async function expectRestored({ store, root, vkey }: Awaited<ReturnType<typeof mirrored>>, findings: string[]) {
  const report = await verifyMirror(store, { keys: [vkey], nowMs: store.now.getTime() });
  expect([...new Set(report.findings.map(({ code }) => code))]).toEqual(findings);
  expect(report).toMatchObject({ history: 'whole', status: findings.length === 0 ? 'whole' : 'tampered' });
  const dir = join(root, 'restored');
  const { shards } = await restoreLedger(store, dir, { keys: [vkey] });
  expect(shards.map(({ shard }) => shard)).toEqual([0, 1]);
  expect(verifyLedger(dir, { keys: [vkey] })).toMatchObject({ status: 'whole' });
  expect(listShards(dir)).toHaveLength(2);
}

const seeded = (byte: number) => ({ ...miniKey(LOG_NAME, byte), privateKey: Buffer.alloc(32, byte) });

describe('a mirror that somebody without the key writes to', () => {
  it('is restored as it was', async () => {
    await expectRestored(await mirrored(), []);
  });

  it('is restored although there are objects of a shard that was never begun', async () => {
    for (const number of [2, 999]) {
      const mirror = await mirrored();
      const origin = `${LOG_NAME}/${number}`;
      mirror.store.put(`${origin}/checkpoint`, miniNote(miniKey(LOG_NAME, 5), origin, 3, Buffer.alloc(32)));
      mirror.store.put(`${origin}/checkpoints/7`, 'junk');
      mirror.store.put(`${origin}/tile/entries/000.p/3`, 'junk');
      await expectRestored(mirror, ['checkpoint-other-key']);
    }
  });

  it('is restored although a thousand versions lie over an object, and below it', async () => {
    for (const path of ['bodies/000', 'tile/entries/000', 'tile/0/001.p/45', 'checkpoints/301']) {
      const mirror = await mirrored();
      const [key = ''] = mirror.store.keys(`${LOG_NAME}/1/${path.replace(/\d+$/, '')}`);
      for (let i = 0; i < 1000; i++) mirror.store.put(key, `over ${i}`);
      if (!key.includes('/tile/0/')) for (let i = 0; i < 1000; i++) mirror.store.squat(key, `below ${i}`);
      const report = await verifyMirror(mirror.store, { keys: [mirror.vkey], nowMs: 0 });
      expect({ key, history: report.history }).toEqual({ key, history: 'whole' });
      await restoreLedger(mirror.store, join(mirror.root, 'restored'), { keys: [mirror.vkey] });
    }
  });

  it('gives its keys in spite of rotation statements of others', async () => {
    const [one, other] = [seeded(7), seeded(8)];
    for (const shard of [1, 2]) {
      const mirror = await mirrored();
      const rotation = signRotation(one, other, shard);
      const bundle = encodeBodyBundle([{ salt: Buffer.alloc(16), body: Buffer.from(JSON.stringify({ rotation })) }]);
      mirror.store.put(`${LOG_NAME}/${shard}/bodies/000.p/1`, bundle);
      const report = await verifyMirror(mirror.store, { keys: [mirror.vkey], nowMs: 0 });
      expect(report.shards.slice(0, 2).map(({ origin }) => origin)).toEqual([`${LOG_NAME}/0`, `${LOG_NAME}/1`]);
      expect(report.history).toBe('whole');
    }
  });
});
