// The verifier on ledgers that the real writer wrote: live, closed, cut off in the middle of its WAL, and copied.
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { ShardFile } from '../../../src/ledger/verify-file.ts';
import { flipFileByte } from '../../support/tamper.ts';
import { decision, event, openTestLedger, places, tempDir, testKey } from './temp-ledger.ts';

const EVENTS = Array.from({ length: 700 }, (_, i) => event({ i, text: 'é\u0000"\\'.repeat(i % 50) }));

describe('a ledger by the real writer', () => {
  it('is whole while it is written and after it was closed', async () => {
    const root = tempDir();
    const { dir } = places(root);
    const keys = [testKey(root).vkey];
    const ledger = await openTestLedger(root, { checkpointIntervalMs: 20 });
    expect(verifyLedger(dir, { keys })).toMatchObject({ status: 'whole', findings: [] });
    let writing = true;
    const writer = (async () => {
      while (writing) {
        await Promise.all([ledger.append('audit', EVENTS), ledger.append('decision', [decision({ pod: 'a' })])]);
      }
    })();
    let before = 0;
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const live = verifyLedger(root, { keys });
      expect(live).toMatchObject({ status: 'whole', findings: [] });
      expect(live.shards[0]?.entries).toBeGreaterThanOrEqual(before);
      before = live.shards[0]?.entries ?? 0;
    }
    writing = false;
    await writer;
    await ledger.close('test');
    const closed = verifyLedger(dir, { keys });
    expect(closed).toMatchObject({ status: 'whole', findings: [], unsignedTail: 0 });
    expect(closed.shards[0]).toMatchObject({
      bodies: closed.shards[0]?.entries,
      matched: closed.shards[0]?.checkpoints,
    });
    expect(closed.notes).toEqual([]);
  });

  it('is found changed when a byte of a leaf is flipped in the file itself', async () => {
    const root = tempDir();
    const { shard, dir } = places(root);
    const ledger = await openTestLedger(root);
    const [landed] = await ledger.append('decision', [decision({ pod: 'a' })]);
    await ledger.append('audit', EVENTS);
    await ledger.close('test');
    // SQLite leaves stale copies of rows in unused space: every copy is changed, of which one is the row.
    const needle = `"seq":${landed?.seq},"time":"20`;
    const content = fs.readFileSync(shard);
    for (let at = content.indexOf(needle); at >= 0; at = content.indexOf(needle, at + 1))
      flipFileByte(shard, at + 20, 1);
    const report = verifyLedger(dir, { keys: [testKey(root).vkey] });
    expect(report).toMatchObject({ status: 'tampered', findings: [{ code: 'leaf-changed', from: landed?.seq }] });
  });

  it('is found changed, and read on, when a page of the file is overwritten', async () => {
    const root = tempDir();
    const { shard, dir } = places(root);
    const ledger = await openTestLedger(root);
    const landed = await ledger.append('audit', EVENTS);
    await ledger.close('test');
    const content = fs.readFileSync(shard);
    const seq = landed[300]?.seq ?? 0;
    const page = Math.floor(content.indexOf(`{"v":1,"seq":${seq},`) / 4096) * 4096;
    content.fill(0xa5, page, page + 4096);
    fs.writeFileSync(shard, content);
    const report = verifyLedger(dir, { keys: [testKey(root).vkey] });
    expect(report.status).toBe('tampered');
    const damage = report.findings.find(({ code, from }) => code === 'database-damaged' && from !== undefined);
    expect(damage?.from).toBeLessThanOrEqual(seq);
    expect(damage?.to).toBeGreaterThanOrEqual(seq);
    expect((damage?.to ?? 0) - (damage?.from ?? 0)).toBeLessThan(20);
    expect(report.shards[0]?.entries).toBeGreaterThan(700);
  });

  it('is read from a copy, with what only its WAL holds, where SQLite cannot create files beside it', async () => {
    const root = tempDir();
    const { dir, shard } = places(root);
    const ledger = await openTestLedger(root);
    await ledger.append('audit', EVENTS);
    expect(fs.statSync(`${shard}-wal`).size).toBeGreaterThan(0);
    const copy = path.join(root, 'copy');
    fs.mkdirSync(copy);
    for (const name of fs.readdirSync(dir)) {
      if (!name.endsWith('-shm') && !name.endsWith('.lock'))
        fs.copyFileSync(path.join(dir, name), path.join(copy, name));
    }
    const opened = ShardFile.open(path.join(copy, path.basename(shard)), true);
    try {
      expect(opened.copied).toBe(true);
      expect(opened.bounds().leaves).toBe(701);
    } finally {
      opened.close();
    }
    expect(fs.readdirSync(copy).sort()).toEqual(['shard-000000.sqlite', 'shard-000000.sqlite-wal']);
    expect(verifyLedger(copy, { keys: [testKey(root).vkey] })).toMatchObject({
      status: 'whole',
      shards: [{ entries: 701 }],
    });
  });

  it('shows that its triggers were dropped', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root);
    await ledger.close('test');
    const db = new Database(places(root).shard);
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
    for (const name of names) db.exec(`DROP TRIGGER ${name}`);
    db.close();
    const report = verifyLedger(root, { keys: [testKey(root).vkey] });
    expect(report.status).toBe('tampered');
    expect(report.findings.map(({ code }) => code)).toEqual(Array(15).fill('schema-changed'));
    expect(report.findings[0]?.message).toContain('trigger meta_insert, which refuses changes, is missing');
  });
});
