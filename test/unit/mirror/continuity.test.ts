// A volume that is not the history that left it: found by what the mirror holds, and gone on from in a new shard.
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listShards, shardFileName } from '../../../src/ledger/files.ts';
import type { LedgerBreak } from '../../../src/ledger/link.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { compareWithMirror } from '../../../src/mirror/continuity.ts';
import { LedgerPush } from '../../../src/mirror/ledger-push.ts';
import { Patience } from '../../../src/mirror/patience.ts';
import { openStore } from '../../../src/mirror/stores/open.ts';
import { Uploader } from '../../../src/mirror/uploader.ts';
import { verify as verifyIndependently } from '../../independent/verify.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { event, LOG_NAME, openTestLedger, places, rejection, tempDir, testKey } from '../ledger/temp-ledger.ts';

function scene(given?: MemoryStore) {
  const root = tempDir();
  const { dir } = places(root);
  const store = given ?? openStore(join(root, 'mirror'), { clock: systemClock() });
  const lines: string[] = [];
  const write = async (mark: string, count = 3, options: Parameters<typeof openTestLedger>[1] = {}) => {
    const ledger = await openTestLedger(root, options);
    for (let i = 0; i < count; i++) await ledger.append('audit', [event({ mark, i })]);
    await ledger.close('test');
  };
  const push = async () => {
    const patience = new Patience({
      signal: new AbortController().signal,
      onFailure: (error) => {
        throw error;
      },
      onSuccess: () => undefined,
      random: () => 0,
      sleep: async () => undefined,
      now: () => performance.now(),
    });
    const log = (_level: string, _fields: object, message: string) => void lines.push(message);
    const uploader = new Uploader(store, patience, 4, log);
    const ledgerPush = new LedgerPush({ ledgerDir: dir, uploader, log, onPushed: () => undefined });
    await ledgerPush.round(true);
    return ledgerPush.diverged;
  };
  const look = () => compareWithMirror(store, { ledgerDir: dir, logName: LOG_NAME, vkeys: [testKey(root).vkey] });
  const snapshot = () => {
    cpSync(dir, join(root, 'snapshot'), { recursive: true });
    return () => {
      rmSync(dir, { recursive: true });
      cpSync(join(root, 'snapshot'), dir, { recursive: true });
    };
  };
  const goOn = async () => {
    const found = await look();
    if (found.state !== 'broken') throw new Error('it continues');
    const { mirrored, local, reason, why } = found;
    const broken: LedgerBreak = { reason, why, previous: mirrored, local };
    await write('after', 3, { broken });
  };
  const statuses = () => {
    const { vkey } = testKey(root);
    const report = verifyLedger(dir, { keys: [vkey] });
    expect(verifyIndependently(dir, vkey).exitCode).toBe(report.exitCode);
    return report;
  };
  return { root, dir, store, lines, write, push, look, snapshot, goOn, statuses };
}

describe('a ledger and its mirror', () => {
  it('are one history as long as the mirror holds the beginning of what is here', async () => {
    const { write, push, look } = scene();
    expect(await look()).toEqual({ state: 'empty' });
    await write('one');
    expect(await look()).toEqual({ state: 'empty' });
    await push();
    expect(await look()).toEqual({ state: 'continued' });
    await write('two', 20, { shardLimits: { entries: 6 } });
    expect(await look()).toEqual({ state: 'continued' });
    await push();
    expect(await look()).toEqual({ state: 'continued' });
  });

  it('a volume put back to an older snapshot is found, and nothing is appended to it', async () => {
    const { write, push, look, snapshot, goOn, dir, statuses } = scene();
    await write('one');
    const restore = snapshot();
    await write('two');
    await push();
    restore();
    expect(await look()).toMatchObject({
      reason: 'rolled-back',
      mirrored: { shard: 0, size: 10 },
      local: { shard: 0, size: 5 },
    });
    await goOn();
    expect(readdirSync(dir).filter((name) => name.endsWith('.sqlite'))).toEqual([shardFileName(0), shardFileName(1)]);
    const reader = LedgerReader.open(dir);
    expect(reader.shards()[0]).toMatchObject({ number: 0, size: 5 });
    const link = JSON.parse(reader.get(1, 0)!.body.toString());
    expect(link).toMatchObject({
      found: { reason: 'rolled-back', local: { shard: 0, size: 5 } },
      previous: { shard: 0, size: 10 },
    });
    expect(reader.get(1, 1)!.leaf.kind).toBe('start');
    reader.close();
    expect(statuses()).toMatchObject({
      status: 'incomplete',
      findings: [{ code: 'rolled-back', shard: 0, from: 5, to: 9 }],
    });
    // The next start goes on where this one stopped.
    expect(await look()).toEqual({ state: 'continued' });
    await write('later');
    expect(listShards(dir)).toHaveLength(2);
  });

  it('a lost volume is found, and the new shard has the next number', async () => {
    const { write, push, look, goOn, dir, statuses } = scene();
    await write('one', 20, { shardLimits: { entries: 6 } });
    await push();
    const last = listShards(dir).at(-1)!.number;
    expect(last).toBeGreaterThan(1);
    rmSync(dir, { recursive: true });
    expect(await look()).toMatchObject({ reason: 'lost', mirrored: { shard: last } });
    await goOn();
    expect(listShards(dir).map(({ number }) => number)).toEqual([last + 1]);
    expect(statuses()).toMatchObject({ status: 'incomplete', findings: [{ code: 'shard-missing', shard: 0 }] });
    await write('later');
    expect(await look()).toEqual({ state: 'continued' });
  });

  it('a lost volume is found though the oldest shards have left the bucket, too', async () => {
    const { write, push, look, root, dir } = scene();
    await write('one', 20, { shardLimits: { entries: 6 } });
    await push();
    const last = listShards(dir).at(-1)!.number;
    rmSync(dir, { recursive: true });
    for (const shard of [0, 1]) rmSync(join(root, 'mirror', LOG_NAME, String(shard)), { recursive: true });
    expect(await look()).toMatchObject({ state: 'broken', reason: 'lost', mirrored: { shard: last } });
  });

  it('a snapshot from before a rotation is found, though its last shard is whole by itself', async () => {
    const { write, push, look, snapshot, goOn, dir } = scene();
    await write('one', 8, { shardLimits: { entries: 6 } });
    const restore = snapshot();
    await write('two', 20, { shardLimits: { entries: 6 } });
    await push();
    const last = listShards(dir).at(-1)!.number;
    restore();
    const here = listShards(dir).at(-1)!.number;
    expect(here).toBeLessThan(last);
    expect(await look()).toMatchObject({ reason: 'rolled-back', mirrored: { shard: last }, local: { shard: here } });
    await goOn();
    expect(listShards(dir).at(-1)!.number).toBe(last + 1);
    await write('later');
  });

  it('another history of the same key is found, and the one here is kept as evidence', async () => {
    const { write, push, look, snapshot, goOn, statuses } = scene();
    await write('one');
    const restore = snapshot();
    await write('two');
    await push();
    restore();
    await write('other', 9);
    expect(await look()).toMatchObject({ reason: 'forked' });
    await goOn();
    const { status, findings } = statuses();
    expect(status).toBe('tampered');
    expect(findings).toMatchObject([{ code: 'link-broken', shard: 0 }]);
  });

  it('is refused when there are newer shards than the mirror knows, after another history', async () => {
    const { write, push, snapshot, goOn, dir } = scene();
    await write('one');
    const restore = snapshot();
    await write('two');
    await push();
    restore();
    await write('other', 20, { shardLimits: { entries: 6 } });
    const before = listShards(dir);
    expect(await rejection(goOn())).toMatchObject({ code: 'LEDGER_ROLLED_BACK' });
    expect(listShards(dir)).toEqual(before);
  });

  it('believes only what the key signed, and finds the newest though its name was taken', async () => {
    const { write, push, look, store, snapshot } = scene();
    await write('one');
    const restore = snapshot();
    await write('two');
    await push();
    await store.replace(`${LOG_NAME}/0/checkpoint`, Buffer.from('squatted'), 'partial');
    await store.create(`${LOG_NAME}/1/checkpoint`, Buffer.from(`${LOG_NAME}/1\n9\nAAAA\n\n\u2014 x AAAA\n`), 'partial');
    expect(await look()).toEqual({ state: 'continued' });
    restore();
    expect(await look()).toMatchObject({ reason: 'rolled-back', mirrored: { size: 10 } });
  });

  it.each([1, 20])(
    'an older checkpoint on top of the newest (%i times) does not hide a volume that was put back',
    async (times) => {
      const store = new MemoryStore();
      const { write, push, look, snapshot, lines } = scene(store);
      const key = `${LOG_NAME}/0/checkpoint`;
      await write('one');
      await push();
      const old = store.bytes(key);
      const restore = snapshot();
      for (let i = 0; i < 12; i++) {
        await write('two', 1);
        await push();
      }
      const size = Number(store.bytes(key).toString().split('\n')[1]);
      for (let i = 0; i < times; i++) store.put(key, old);
      // Where the volume is what it was, the mirror goes on and alarms.
      expect(await look()).toEqual({ state: 'continued' });
      restore();
      const found = await look();
      expect(found).toMatchObject({ state: 'broken', reason: 'rolled-back' });
      if (times === 1) expect(found).toMatchObject({ mirrored: { size } });
      expect(await push()).toEqual([0]);
      expect(lines.join('\n')).toMatch(/an older checkpoint was put back/);
      expect(store.bytes(key)).toEqual(old);
    },
  );

  it('the mirror goes on, and alarms, where only the newest checkpoint was put back', async () => {
    const store = new MemoryStore();
    const { write, push, lines } = scene(store);
    const key = `${LOG_NAME}/0/checkpoint`;
    await write('one');
    await push();
    const old = store.bytes(key);
    await write('two');
    await push();
    store.put(key, old);
    await write('three');
    expect(await push()).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/an older checkpoint was put back/)]);
    expect(store.bytes(key)).not.toEqual(old);
  });
});
