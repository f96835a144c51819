// What the pod pushes is what the verifier expects and a restore takes: the two were written from docs/mirror.md apart.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { LedgerPush } from '../../../src/mirror/ledger-push.ts';
import { Patience } from '../../../src/mirror/patience.ts';
import { restoreLedger } from '../../../src/mirror/restore.ts';
import type { ObjectStore } from '../../../src/mirror/stores/store.ts';
import { Uploader } from '../../../src/mirror/uploader.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { event, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

/** The pod's pushing, without its thread. */
function pushTo(store: ObjectStore, ledgerDir: string): LedgerPush {
  const patience = new Patience({
    signal: new AbortController().signal,
    onFailure: () => undefined,
    onSuccess: () => undefined,
    random: () => 0,
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    now: () => performance.now(),
  });
  const log = (): void => undefined;
  return new LedgerPush({ ledgerDir, uploader: new Uploader(store, patience, 4, log), log, onPushed: () => undefined });
}

describe('what the pod pushes', () => {
  it('is whole after every round, and is restored as the ledger it was, over several shards', async () => {
    const root = tempDir();
    const store = new MemoryStore();
    const { dir } = places(root);
    const push = pushTo(store, dir);
    const ledger = await openTestLedger(root, { shardLimits: { entries: 900 } });
    for (const count of [1, 254, 1, 300, 400, 5]) {
      await ledger.append(
        'audit',
        Array.from({ length: count }, (_, n) => event(n === 200 ? 'x'.repeat(70_000) : { n })),
      );
      await push.round(true);
      const report = await verifyMirror(store, { keys: [ledger.vkey], nowMs: 0 });
      expect(report).toMatchObject({ status: 'whole', findings: [], notes: [] });
    }
    await ledger.close('done');
    await push.round(true);
    const restored = join(root, 'restored');
    const { shards } = await restoreLedger(store, restored, { keys: [ledger.vkey] });
    expect(shards.map(({ shard }) => shard)).toEqual([0, 1]);
    const [before, after] = [dir, restored].map((path) => verifyLedger(path, { keys: [ledger.vkey] }));
    expect(after).toMatchObject({ status: 'whole' });
    expect(after?.shards.map(({ root }) => root)).toEqual(before?.shards.map(({ root }) => root));
  });
});
