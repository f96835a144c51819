// What somebody who can write the ledger's file can do: drop the triggers, then anything.
import fs from 'node:fs';
import Database from 'better-sqlite3';

/** Runs `change` on a shard whose triggers were dropped, and closes it. */
export function tamper(file: string, change: (db: Database.Database) => void): void {
  const db = new Database(file);
  try {
    db.pragma('synchronous = OFF');
    const triggers = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER "${name}"`);
    change(db);
  } finally {
    db.close();
  }
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
