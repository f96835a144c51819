import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { BLOCK_ENTRIES, openIndexForReading } from '../../../src/index/schema.ts';
import { type FoundEntry, search } from '../../../src/index/search.ts';
import { IndexTail } from '../../../src/index/tail.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { flipByte, tamper } from '../../support/tamper.ts';
import { buildIndex, decisionAppend, MemoryLedger, openTestLedger, recordingLog, uuid } from './support.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealgate-tail-'));
  file = join(dir, 'index', 'index.sqlite');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function entriesOf(index: string): readonly FoundEntry[] {
  const db = openIndexForReading(index);
  try {
    return search(db, { filter: {}, ascending: true, limit: 5000 }, { expired: () => false }).entries;
  } finally {
    db.close();
  }
}

function change(sql: string): void {
  const db = new Database(file);
  db.exec(sql);
  db.close();
}

function ledgerOf(count: number, log?: string): MemoryLedger {
  const ledger = new MemoryLedger(log);
  for (let i = 0; i < count; i++) ledger.decision({ uid: uuid(i), name: `pod-${i}` });
  return ledger;
}

const reasons = (log: { lines: readonly { fields: Record<string, unknown> }[] }) =>
  log.lines.map(({ fields }) => fields['reason']);

describe('the index', () => {
  it('goes on where it was, also from the middle of a block, and is the same as one built at once', () => {
    const ledger = ledgerOf(0);
    for (const size of [1, 700, BLOCK_ENTRIES, BLOCK_ENTRIES + 1, 2 * BLOCK_ENTRIES + 5]) {
      for (let i = ledger.all[0]!.length; i < size; i++) ledger.decision({ uid: uuid(i), user: `user-${i % 7}` });
      expect(buildIndex(file, ledger).lines).toEqual([]);
    }
    const once = join(dir, 'once.sqlite');
    buildIndex(once, ledger);
    const [a, b] = [file, once].map((path) => {
      const db = openIndexForReading(path);
      const tables = ['entry', 'block', 'bloom', 'shard'].map((table) => db.prepare(`SELECT * FROM ${table}`).all());
      db.close();
      return tables;
    });
    expect(a).toEqual(b);
    expect(entriesOf(file)).toHaveLength(2 * BLOCK_ENTRIES + 5);
  });

  it('adds at most what a step may, so that nobody waits for a long transaction', () => {
    const ledger = ledgerOf(10);
    ledger.rotate();
    ledger.decision({ uid: uuid(11) });
    const tail = new IndexTail({ file, source: ledger, log: recordingLog() });
    expect([tail.step(4), tail.step(4), tail.step(4), tail.step(4)]).toEqual([4, 4, 3, 0]);
    expect(tail.position()).toEqual({ shard: 1, size: 1 });
    tail.close();
  });

  it('lets go of removed shards step by step, with the names that nothing else has, and goes on', () => {
    const ledger = ledgerOf(BLOCK_ENTRIES + 300);
    ledger.decision({ uid: uuid(9000), user: 'left', namespace: 'gone' });
    const old = ledger.decision({ uid: uuid(9001), user: 'stayed' });
    ledger.rotate();
    ledger.event({ auditID: 'a', user: 'stayed', annotations: { [`d.${uuid(9001)}`]: ledger.reference(old) } });
    ledger.rotate();
    for (let i = 0; i < BLOCK_ENTRIES; i++)
      ledger.decision({ uid: uuid(10_000 + i), user: 'stayed', name: `new-${i}` });
    const tail = new IndexTail({ file, source: ledger, log: recordingLog() });
    while (tail.step(500) === 500);
    const before = entriesOf(file).filter(({ shard }) => shard > 0);
    const texts = (): unknown[] => {
      const db = openIndexForReading(file);
      onTestFinished(() => void db.close());
      return db.prepare('SELECT text FROM term ORDER BY text').pluck().all();
    };
    expect(texts()).toContain('left');

    ledger.oldest = 1;
    expect(tail.step(500)).toBe(500);
    expect(entriesOf(file)).toHaveLength(before.length + BLOCK_ENTRIES + 302 - 500);
    while (tail.step(500) === 500);
    const after = entriesOf(file);
    expect(after.map(({ shard, seq }) => [shard, seq])).toEqual(before.map(({ shard, seq }) => [shard, seq]));
    expect(texts()).not.toContain('left');
    expect(texts()).not.toContain('gone');
    expect(texts()).toContain('stayed');

    ledger.decision({ uid: uuid(20_000), user: 'left', name: 'last' });
    tail.step(500);
    tail.close();
    expect(entriesOf(file).at(-1)).toMatchObject({ shard: 2, user: 'left', name: 'last' });
    // The next start takes it as it is.
    const log = recordingLog();
    new IndexTail({ file, source: ledger, log }).close();
    expect(log.lines).toEqual([]);
    const found = openIndexForReading(file);
    onTestFinished(() => void found.close());
    const query = { filter: { user: 'left' }, ascending: false, limit: 10 };
    expect(search(found, query, { expired: () => false }).entries).toHaveLength(1);
  });

  it('is built anew when the ledger is another one, and says why', () => {
    buildIndex(file, ledgerOf(30));
    const other = ledgerOf(40, 'example.org/other/0');
    const log = buildIndex(file, other);
    expect(reasons(log)).toEqual([expect.stringContaining('of another log')]);
    expect(entriesOf(file)).toHaveLength(40);
  });

  it('is built anew when it is ahead of the ledger, or the ledger tells another story at its end', () => {
    buildIndex(file, ledgerOf(30));
    expect(reasons(buildIndex(file, ledgerOf(20)))).toEqual([expect.stringContaining('ahead of the ledger, by 10')]);
    expect(entriesOf(file)).toHaveLength(20);
    const forked = ledgerOf(10);
    for (let i = 10; i < 25; i++) forked.decision({ uid: uuid(i), name: 'forged' });
    expect(reasons(buildIndex(file, forked))).toEqual([expect.stringContaining('0/19 has another hash')]);
    expect(entriesOf(file)[19]?.name).toBe('forged');
  });

  it.each([
    ['of another version', () => change('PRAGMA user_version = 99'), 'version 99'],
    ['another database', () => change('PRAGMA application_id = 7'), 'not an index'],
    ['no database', () => writeFileSync(file, 'x'.repeat(9000)), 'cannot be read'],
    ['written when the machine went down', () => change("UPDATE state SET value = 'another boot'"), 'went down'],
    ['short of a table', () => change('DROP TABLE bloom; DROP TABLE link'), 'lacks link'],
  ])('is built anew when the file is %s', (_what, damage, reason) => {
    const ledger = ledgerOf(BLOCK_ENTRIES + 30);
    buildIndex(file, ledger);
    damage();
    const log = buildIndex(file, ledger);
    expect(reasons(log)).toEqual([expect.stringContaining(reason)]);
    expect(entriesOf(file)).toHaveLength(BLOCK_ENTRIES + 30);
    expect(buildIndex(file, ledger).lines).toEqual([]);
  });

  it('is built anew when pages of it turn out damaged while it is written', () => {
    const ledger = ledgerOf(3000);
    buildIndex(file, ledger);
    const bytes = readFileSync(file);
    // Everything behind the schema's page.
    bytes.fill(0x5a, 4096);
    writeFileSync(file, bytes);
    ledger.decision({ uid: uuid(3001) });
    const log = buildIndex(file, ledger);
    expect(reasons(log)).toHaveLength(1);
    expect(entriesOf(file)).toHaveLength(3001);
  });

  it('follows a ledger on disk, and shows what cannot be read there as damaged without losing what is behind it', async () => {
    const ledger = await openTestLedger(dir);
    for (const batch of [0, 1, 2]) {
      await ledger.append(
        'decision',
        Array.from({ length: 10 }, (_, i) => decisionAppend({ uid: uuid(batch * 10 + i) })),
      );
    }
    await ledger.close('over');
    const shard = join(dir, 'ledger', 'shard-000000.sqlite');
    let first = 0;
    tamper(shard, (db) => {
      first = db.prepare('SELECT first FROM pack WHERE first > 1 ORDER BY first LIMIT 1').pluck().get() as number;
      flipByte(db, 'pack', first, 8);
      flipByte(db, 'leaf', 3, 20);
    });
    const reader = LedgerReader.open(join(dir, 'ledger'));
    const log = buildIndex(file, reader);
    const entries = entriesOf(file);
    reader.close();
    expect(entries).toHaveLength(32);
    const damaged = entries.filter(({ kind }) => kind === 'damaged').map(({ seq }) => seq);
    expect(damaged).toContain(3);
    expect(damaged).toContain(first);
    expect(damaged.length).toBeLessThan(15);
    expect(entries.at(-1)).toMatchObject({ seq: 31, kind: 'stop' });
    expect(log.lines[0]).toMatchObject({
      level: 'error',
      message: expect.stringContaining('sealgate verify') as string,
    });
  });
});
