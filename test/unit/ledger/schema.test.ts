import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { assertSchema, configureWriter, createSchema } from '../../../src/ledger/schema.ts';
import { openTestLedger, places, tempDir } from './temp-ledger.ts';

/** A connection as anybody could open one, with SQLite's defaults: what it refuses, the file refuses. */
function anybody(path: string): Database.Database {
  const db = new Database(path);
  onTestFinished(() => void db.close());
  db.pragma('recursive_triggers = 0');
  return db;
}

async function filledShard(): Promise<Database.Database> {
  const root = tempDir();
  const ledger = await openTestLedger(root);
  const events = Array.from({ length: 300 }, (_, i) => ({ kind: 'event' as const, body: Buffer.from(`{"i":${i}}`) }));
  await ledger.append('audit', events);
  await ledger.close('done');
  return anybody(places(root).shard);
}

const FORBIDDEN = [
  "UPDATE meta SET value = 'x' WHERE key = 'origin'",
  'UPDATE leaf SET leaf = leaf WHERE seq = 3',
  'UPDATE leaf SET seq = 1000 WHERE seq = 3',
  "UPDATE pack SET data = x'00' WHERE first = 0",
  "UPDATE checkpoint SET note = x'00'",
  "UPDATE subtree SET hash = x'00'",
  'DELETE FROM meta',
  'DELETE FROM leaf WHERE seq = (SELECT max(seq) FROM leaf)',
  'DELETE FROM pack',
  'DELETE FROM checkpoint',
  'DELETE FROM subtree',
  "INSERT INTO meta (key, value) VALUES ('new', 'x')",
  "INSERT OR REPLACE INTO meta (key, value) VALUES ('origin', 'x')",
  "INSERT INTO leaf (seq, leaf) SELECT max(seq) + 2, x'00' FROM leaf",
  "INSERT INTO leaf (seq, leaf) VALUES (-1, x'00')",
  "INSERT INTO leaf (leaf) VALUES (x'00')",
  "INSERT OR REPLACE INTO leaf (seq, leaf) VALUES (3, x'00')",
  "INSERT INTO leaf (seq, leaf) VALUES (3, x'00') ON CONFLICT DO UPDATE SET leaf = x'00'",
  "INSERT INTO pack (first, count, codec, data) SELECT max(first) + 1000, 1, 0, x'00' FROM pack",
  "INSERT INTO pack (first, count, codec, data) SELECT max(seq) + 1, 1, 0, x'00' FROM leaf",
  "REPLACE INTO pack (first, count, codec, data) VALUES (0, 1, 0, x'00')",
  "REPLACE INTO checkpoint (size, note) VALUES (1, x'00')",
  "INSERT INTO checkpoint (size, note) SELECT max(seq) + 2, x'00' FROM leaf",
  "INSERT INTO checkpoint (size, note) VALUES (2, x'00')",
  'INSERT INTO subtree (level, idx, hash) VALUES (1, 5, zeroblob(32))',
  'INSERT INTO subtree (level, idx, hash) VALUES (0, 0, zeroblob(32))',
  'INSERT INTO subtree (level, idx, hash) VALUES (1, 1, zeroblob(31))',
  'REPLACE INTO subtree (level, idx, hash) VALUES (1, 0, zeroblob(32))',
];

describe('shard schema', () => {
  it('refuses every statement that does not append', async () => {
    const db = await filledShard();
    const dump = () =>
      JSON.stringify(
        ['meta', 'leaf', 'pack', 'checkpoint', 'subtree'].map((t) => db.prepare(`SELECT * FROM ${t}`).all()),
      );
    const before = dump();
    expect(db.prepare('SELECT count(*) FROM subtree').pluck().get()).toBe(1);
    for (const sql of FORBIDDEN) expect(() => db.exec(sql), sql).toThrow(/append-only/);
    expect(dump()).toBe(before);
  });

  it('takes no value of another type', async () => {
    const db = await filledShard();
    expect(() => db.exec("INSERT INTO leaf (seq, leaf) SELECT max(seq) + 1, 'text' FROM leaf")).toThrow(
      /cannot store TEXT/,
    );
  });

  it('accepts the next entry of a connection that appends (only the lock keeps writers apart)', async () => {
    const db = await filledShard();
    db.exec("INSERT INTO leaf (seq, leaf) SELECT max(seq) + 1, x'00' FROM leaf");
  });

  it('sets synchronous=FULL against the default of better-sqlite3, and asserts it', () => {
    const path = join(tempDir(), 'a.sqlite');
    const db = anybody(path);
    db.pragma('journal_mode = WAL');
    db.close();
    const again = anybody(path);
    expect(again.pragma('synchronous', { simple: true })).toBe(1); // why it has to be set
    configureWriter(again, 'wal');
    expect(again.pragma('synchronous', { simple: true })).toBe(2);
    expect(again.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(again.pragma('wal_autocheckpoint', { simple: true })).toBe(0);
  });

  it('fails when SQLite does not take a setting', () => {
    const db = anybody(':memory:'); // cannot have a WAL
    expect(() => configureWriter(db, 'wal')).toThrow(expect.objectContaining({ code: 'LEDGER_WRITE_FAILED' }));
  });

  it.each([
    ['DROP TRIGGER leaf_update', 'leaf_update is missing'],
    ['DROP TRIGGER pack_insert', 'pack_insert is missing'],
    ['DROP TRIGGER leaf_update; DROP TRIGGER leaf_delete', 'leaf_update and leaf_delete are missing'],
    ['DROP TABLE leaf', 'leaf, leaf_insert, leaf_update and 1 more are missing'],
    ['CREATE TABLE extra (x)', 'extra is not part'],
    ['CREATE TRIGGER sneaky AFTER INSERT ON leaf BEGIN SELECT 1; END', 'sneaky is not part'],
    [
      'DROP TRIGGER leaf_delete; CREATE TRIGGER leaf_delete BEFORE DELETE ON leaf BEGIN SELECT 1; END',
      'leaf_delete is not part',
    ],
  ])('notices %s', (sql, why) => {
    const db = anybody(':memory:');
    createSchema(db);
    assertSchema(db, 'x');
    db.exec(sql);
    expect(() => assertSchema(db, 'x')).toThrow(
      expect.objectContaining({ code: 'LEDGER_CORRUPT', message: expect.stringContaining(why) }),
    );
  });

  it('is to the letter what docs/ledger-format.md lists', () => {
    const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'ledger-format.md'), 'utf8');
    const listed = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].flatMap(([, sql = '']) => sql.trimEnd().split('\n'));
    const db = anybody(':memory:');
    createSchema(db);
    const created = db.prepare<[], string>('SELECT sql FROM sqlite_schema').pluck().all();
    expect(listed.toSorted()).toEqual(created.map((sql) => `${sql};`).toSorted());
  });

  it('notices an index under a name of SQLite’s own, which could say something else than its table', () => {
    const db = anybody(':memory:');
    createSchema(db);
    db.exec('ANALYZE'); // leaves sqlite_stat1, which is harmless without an index
    assertSchema(db, 'x');
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    db.exec('CREATE INDEX lie ON leaf (seq, leaf)');
    db.exec("UPDATE sqlite_schema SET name = 'sqlite_lie', sql = replace(sql, 'lie', 'sqlite_lie') WHERE name = 'lie'");
    expect(() => assertSchema(db, 'x')).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });
});
