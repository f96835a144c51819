import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect, it } from 'vitest';
import { copyLedger } from '../../../src/ledger/copy.ts';
import { shardFileName } from '../../../src/ledger/files.ts';
import type { ShardEnd } from '../../../src/ledger/link.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { never, removeShard } from '../../../src/ledger/remove-shard.ts';
import { isSealed } from '../../../src/ledger/seal.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { verify as verifyIndependently } from '../../independent/verify.ts';
import { event, openTestLedger, places, rejection, type TestLedger, tempDir } from './temp-ledger.ts';

const yes = () => true;
let root: string;

beforeEach(() => {
  root = tempDir();
});

const path = (shard: number) => join(places(root).dir, shardFileName(shard));

/** A ledger in its shard 4, all before that sealed. */
async function fourSealed(): Promise<TestLedger> {
  const ledger = await openTestLedger(root, { shardLimits: { entries: 4 }, checkpointIntervalMs: 50 });
  for (let i = 0; ledger.shard < 4; i++) await ledger.append('audit', [event({ i })]);
  await expect.poll(() => [0, 1, 2, 3].every((shard) => isSealed(path(shard))), { timeout: 10_000 }).toBe(true);
  return ledger;
}

/** What both verifiers say of a folder; that they agree is checked here. */
async function judged(ledger: { vkey: string }, checkpoints: string[] = [], dir = places(root).dir) {
  const report = verifyLedger(dir, { keys: [ledger.vkey], checkpoints });
  // Of a copy: two SQLite libraries in one process must not open a shard that is written.
  const copy = mkdtempSync(join(root, 'judged-'));
  await copyLedger(dir, copy);
  const independent = verifyIndependently(copy, ledger.vkey, checkpoints);
  expect([independent.status, independent.findings]).toEqual([
    report.status,
    report.findings.length === 0 ? [] : expect.anything(),
  ]);
  return report;
}

describe('removing the oldest shard', () => {
  it('needs a condition that allows it, of the right shard: nothing goes otherwise', async () => {
    const ledger = await fourSealed();
    const size = ledger.head().size;
    for (const [shard, condition, why] of [
      [0, never, 'does not vouch'],
      [1, yes, 'only the oldest'],
      [4, yes, 'only the oldest'],
      [7, yes, 'only the oldest'],
    ] as const) {
      const error = await rejection(removeShard(ledger, shard, condition));
      expect(error.code).toBe('LEDGER_REMOVAL_REFUSED');
      expect(error.message).toContain(why);
    }
    expect((await rejection(removeShard(ledger, 0))).code).toBe('LEDGER_REMOVAL_REFUSED');
    expect([0, 1, 2, 3, 4].every((shard) => existsSync(path(shard)))).toBe(true);
    expect(ledger.head().size).toBe(size);
  });

  it('leaves a ledger that is whole and says what is gone, and that starts and goes on', async () => {
    let ledger = await fourSealed();
    const ends: ShardEnd[] = [];
    const reader = LedgerReader.open(places(root).dir);
    const outside = reader.checkpoint(0)?.note ?? '';
    for (const shard of [0, 1]) {
      const { seq, shard: holder } = await removeShard(ledger, shard, async (end) => ends.push(end) > 0);
      expect(existsSync(path(shard))).toBe(false);
      expect(JSON.parse(reader.get(holder, seq)!.body.toString())).toEqual({ removed: ends.at(-1) });
    }
    expect(ends.map(({ shard }) => shard)).toEqual([0, 1]);
    expect(reader.shards()[0]?.number).toBe(2);
    expect(() => reader.get(0, 0)).toThrow(expect.objectContaining({ code: 'LEDGER_NOT_FOUND' }));
    reader.close();
    const report = await judged(ledger, [outside]);
    expect(report).toMatchObject({ status: 'whole', findings: [] });
    expect(report.notes.join()).toMatch(/says that shard 1, of 4 entries, and what was before it were removed/);
    expect(report.unchecked.join()).toContain('shard 0, which was removed');

    await ledger.close('test');
    // A start finds the entry by the pointer, and without it.
    for (const lost of [false, true]) {
      if (lost) rmSync(join(places(root).dir, 'removed'));
      ledger = await openTestLedger(root, { shardLimits: { entries: 100 } });
      await ledger.append('audit', [event({ lost })]);
      await ledger.close('test');
    }
    expect(await judged(ledger)).toMatchObject({ status: 'whole', findings: [] });
    const copy = join(root, 'copy');
    expect((await copyLedger(places(root).dir, copy))[0]?.shard).toBe(2);
    expect(await judged(ledger, [], copy)).toMatchObject({ status: 'whole', findings: [] });
  });

  it('stops at the shard before the one before the newest', async () => {
    const ledger = await fourSealed();
    for (const shard of [0, 1, 2]) if (shard <= ledger.shard - 2) await removeShard(ledger, shard, yes);
    const { shard } = ledger;
    for (let next = 3; next <= shard - 2; next++) await removeShard(ledger, next, yes);
    const error = await rejection(removeShard(ledger, shard - 1, yes));
    expect(error).toMatchObject({ code: 'LEDGER_REMOVAL_REFUSED', message: expect.stringContaining('stay') });
    expect((await judged(ledger)).status).toBe('whole');
  });

  it('that was changed is refused: it stays as evidence', async () => {
    const ledger = await fourSealed();
    chmodSync(path(0), 0o640);
    const db = new Database(path(0));
    db.exec('DROP TRIGGER checkpoint_delete; DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)');
    db.close();
    chmodSync(path(0), 0o440);
    expect((await rejection(removeShard(ledger, 0, yes))).code).toBe('LEDGER_CORRUPT');
    expect(existsSync(path(0))).toBe(true);
  });

  it('is finished by the next attempt when a crash came between the entry and the file', async () => {
    const ledger = await fourSealed();
    await removeShard(ledger, 0, yes);
    const saved = join(root, 'saved');
    copyFileSync(path(1), saved);
    await removeShard(ledger, 1, yes);
    await ledger.close('test');
    copyFileSync(saved, path(1));
    chmodSync(path(1), 0o440);
    const again = await openTestLedger(root, { checkpointIntervalMs: 50 });
    const report = await judged(again);
    expect(report.status).toBe('whole');
    expect(report.notes.join()).toContain('shard 1 is still there');
    await removeShard(again, 1, yes);
    expect(existsSync(path(1))).toBe(false);
    expect((await judged(again)).status).toBe('whole');
  });
});

describe('shards that are gone without a word', () => {
  it('are missing, to both verifiers and to a start, whatever the pointer says', async () => {
    const ledger = await fourSealed();
    await removeShard(ledger, 0, yes);
    await ledger.close('test');
    rmSync(path(1));
    expect(await judged(ledger)).toMatchObject({
      status: 'incomplete',
      findings: [{ code: 'shard-missing', shard: 1 }],
    });
    for (const pointer of ['4/1\n', '9/9\n', 'nonsense']) {
      writeFileSync(join(places(root).dir, 'removed'), pointer);
      const error = await rejection(openTestLedger(root));
      expect(error).toMatchObject({ code: 'LEDGER_CORRUPT', message: expect.stringContaining('shard 0 is missing') });
    }
  });

  it('are missing although an entry says otherwise that nothing signed', async () => {
    const ledger = await openTestLedger(root, { shardLimits: { entries: 4 }, checkpointIntervalMs: 60_000 });
    for (let i = 0; ledger.shard < 3; i++) await ledger.append('audit', [event({ i })]);
    const removed = { shard: 0, size: 4, last: 'a'.repeat(64), checkpoint: 'forged' };
    await ledger.append('decision', [{ kind: 'removal', body: Buffer.from(JSON.stringify({ removed })) }]);
    const copy = join(root, 'copy');
    await copyLedger(places(root).dir, copy);
    rmSync(join(copy, shardFileName(0)));
    expect(await judged(ledger, [], copy)).toMatchObject({
      status: 'incomplete',
      findings: [{ code: 'shard-missing', shard: 0 }],
    });
  });

  it('are tampered with when the entry names another end than the link of the next shard', async () => {
    const ledger = await fourSealed();
    const removed = { shard: 0, size: 3, last: 'a'.repeat(64), checkpoint: 'another' };
    await ledger.append('decision', [{ kind: 'removal', body: Buffer.from(JSON.stringify({ removed })) }]);
    await ledger.close('test');
    rmSync(path(0));
    expect(await judged(ledger)).toMatchObject({ status: 'tampered', findings: [{ code: 'link-broken', shard: 1 }] });
    expect((await rejection(openTestLedger(root))).code).toBe('LEDGER_CORRUPT');
  });
});
