// What somebody who can write the ledger's file can do: drop the triggers, then anything.
import fs from 'node:fs';
import Database from 'better-sqlite3';
import { miniSum } from './mini-ledger.js';
/**
 * Runs `change` on a shard whose triggers were dropped, and closes it. The checksums of packs are made anew, as whoever can
 * change a pack can do, unless what is played is an accident.
 */
export function tamper(file, change, accident = false) {
    const db = new Database(file);
    try {
        db.pragma('synchronous = OFF');
        const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all();
        for (const { name } of triggers)
            db.exec(`DROP TRIGGER "${name}"`);
        change(db);
        if (!accident)
            resum(db);
    }
    finally {
        db.close();
    }
}
export function leafAt(db, seq) {
    return db.prepare('SELECT leaf FROM leaf WHERE seq = ?').get(seq)?.leaf;
}
export function setLeaf(db, seq, leaf) {
    db.prepare('INSERT INTO leaf VALUES (?, ?) ON CONFLICT DO UPDATE SET leaf = excluded.leaf').run(seq, Buffer.from(leaf));
}
export function packAt(db, first) {
    return db.prepare('SELECT data FROM pack WHERE first = ?').pluck().get(first);
}
export function setPack(db, first, data) {
    db.prepare('UPDATE pack SET data = ? WHERE first = ?').run(data, first);
}
/** Makes the checksums of all packs anew, so that they fit what is there now. */
export function resum(db) {
    const columns = db.prepare("SELECT count(*) FROM pragma_table_xinfo('pack') WHERE hidden = 0").pluck();
    if (columns.get() !== 5)
        return;
    const set = db.prepare('UPDATE pack SET sum = ? WHERE first = ?');
    const rows = db.prepare("SELECT first, count, codec, data FROM pack WHERE typeof(data) = 'blob'").all();
    for (const { first, count, codec, data } of rows)
        set.run(miniSum(first, count, codec, data), first);
}
/** Flips bits of one byte of a blob column of the row with this key. */
export function flipByte(db, table, key, at, mask = 0xff) {
    const [keyColumn, column] = { leaf: ['seq', 'leaf'], pack: ['first', 'data'], checkpoint: ['size', 'note'] }[table];
    const value = db.prepare(`SELECT ${column} FROM ${table} WHERE ${keyColumn} = ?`).pluck().get(key);
    value[at] = value[at] ^ mask;
    db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${keyColumn} = ?`).run(value, key);
}
/** Moves the rows of a table from `from` on by `by` places. */
export function shiftRows(db, table, from, by) {
    const column = table === 'leaf' ? 'seq' : 'first';
    const far = 1_000_000_000;
    db.prepare(`UPDATE ${table} SET ${column} = ${column} + ? WHERE ${column} >= ?`).run(far, from);
    db.prepare(`UPDATE ${table} SET ${column} = ${column} - ? WHERE ${column} >= ?`).run(far - by, far);
}
/** Changes one byte of a file in place. */
export function flipFileByte(file, at, mask = 0xff) {
    const content = fs.readFileSync(file);
    content[at] = content[at] ^ mask;
    fs.writeFileSync(file, content);
}
