// What somebody who can write the ledger's file can do: drop the triggers, then anything.
import fs from 'node:fs';
import Database from 'better-sqlite3';
import { miniSum } from './mini-ledger.ts';

/**
 * Runs `change` on a shard whose triggers were dropped, and closes it. Then the traces are removed, as whoever can change the
 * file can do: the triggers are put back, and the checksums of packs made anew unless what is played is an accident.
 */
export function tamper(file: string, change: (db: Database.Database) => void, accident = false): void {
  const db = new Database(file);
  try {
    db.pragma('synchronous = OFF');
    const triggers = db.prepare<[], Trigger>("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER "${name}"`);
    change(db);
    if (!accident) resum(db);
    const isTable = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
    for (const { name, sql } of triggers) if (isTable.get(name.split('_')[0])) db.exec(sql);
  } finally {
    db.close();
  }
}

interface Trigger {
  readonly name: string;
  readonly sql: string;
}

export function leafAt(db: Database.Database, seq: number): Buffer {
  return db.prepare<[number], { leaf: Buffer }>('SELECT leaf FROM leaf WHERE seq = ?').get(seq)?.leaf as Buffer;
}

export function setLeaf(db: Database.Database, seq: number, leaf: Buffer | string): void {
  db.prepare('INSERT INTO leaf VALUES (?, ?) ON CONFLICT DO UPDATE SET leaf = excluded.leaf').run(
    seq,
    Buffer.from(leaf),
  );
}

export function packAt(db: Database.Database, first: number): Buffer {
  return db.prepare('SELECT data FROM pack WHERE first = ?').pluck().get(first) as Buffer;
}

export function setPack(db: Database.Database, first: number, data: Buffer): void {
  db.prepare('UPDATE pack SET data = ? WHERE first = ?').run(data, first);
}

/** Makes the checksums of all packs anew, so that they fit what is there now. */
export function resum(db: Database.Database): void {
  const columns = db.prepare("SELECT count(*) FROM pragma_table_xinfo('pack') WHERE hidden = 0").pluck();
  if (columns.get() !== 5) return;
  const set = db.prepare('UPDATE pack SET sum = ? WHERE first = ?');
  const rows = db.prepare<[], PackRow>("SELECT first, count, codec, data FROM pack WHERE typeof(data) = 'blob'").all();
  for (const { first, count, codec, data } of rows) set.run(miniSum(first, count, codec, data), first);
}

interface PackRow {
  readonly first: number;
  readonly count: number;
  readonly codec: number;
  readonly data: Buffer;
}

/** Flips bits of one byte of a blob column of the row with this key. */
export function flipByte(
  db: Database.Database,
  table: 'leaf' | 'pack' | 'checkpoint',
  key: number,
  at: number,
  mask = 0xff,
): void {
  const [keyColumn, column] = { leaf: ['seq', 'leaf'], pack: ['first', 'data'], checkpoint: ['size', 'note'] }[table];
  const value = db.prepare(`SELECT ${column} FROM ${table} WHERE ${keyColumn} = ?`).pluck().get(key) as Buffer;
  value[at] = (value[at] as number) ^ mask;
  db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${keyColumn} = ?`).run(value, key);
}

/** Moves the rows of a table from `from` on by `by` places. */
export function shiftRows(db: Database.Database, table: 'leaf' | 'pack', from: number, by: number): void {
  const column = table === 'leaf' ? 'seq' : 'first';
  const far = 1_000_000_000;
  db.prepare(`UPDATE ${table} SET ${column} = ${column} + ? WHERE ${column} >= ?`).run(far, from);
  db.prepare(`UPDATE ${table} SET ${column} = ${column} - ? WHERE ${column} >= ?`).run(far - by, far);
}

/** Changes one byte of a file in place. */
export function flipFileByte(file: string, at: number, mask = 0xff): void {
  const content = fs.readFileSync(file);
  content[at] = (content[at] as number) ^ mask;
  fs.writeFileSync(file, content);
}
