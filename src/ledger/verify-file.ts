// Opens one shard for verification, read-only, and reads its rows in bounded chunks. Everything in the file is
// attacker-controlled: types, sizes and the schema itself are checked before a value is used, a big value is measured before
// it is loaded, and a damaged page is stepped over.
import fs from 'node:fs';
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { FORMAT_VERSION, MAX_LEAF_BYTES } from './entry.ts';
import { needsCopy, openShardCopy } from './shard-copy.ts';
import type { SchemaRow } from './verify-schema.ts';

/** `PRAGMA application_id` of a shard, "SGLD". */
const APPLICATION_ID = 1_397_181_508;
/** Sequence numbers at or above this cannot be entries; below it they are exact in a double. */
const SEQ_LIMIT = 2 ** 49;
const LEAF_CHUNK = 512;
const PACK_CHUNK = 32;
const CHECKPOINT_CHUNK = 256;
/** Pack data up to this size is read with its row, larger data when it is needed. */
const INLINE_PACK_BYTES = 128 * 1024;
/** A note of a few signature lines has a few hundred bytes. */
const MAX_NOTE_BYTES = 16 * 1024;
/** Lines of SQLite's own check that are listed. */
const MAX_DAMAGE = 5;

/** The columns of the format: name, type, place in the primary key. */
const SCHEMA: Readonly<Record<string, string>> = {
  meta: 'key TEXT 1, value TEXT 0',
  leaf: 'seq INTEGER 1, leaf BLOB 0',
  pack: 'first INTEGER 1, count INTEGER 0, codec INTEGER 0, data BLOB 0, sum BLOB 0',
  checkpoint: 'size INTEGER 1, note BLOB 0',
};

/** The shard cannot be read as one: what SQLite or the schema says. */
export class ShardDamage extends Error {
  override readonly name = 'ShardDamage';
}

/** A leaf row: its bytes as one character a byte when they are ASCII, else as they are; undefined when they cannot be a leaf. */
export interface LeafRow {
  readonly row: number;
  readonly leaf: string | Buffer | undefined;
}

export interface PackRow {
  readonly first: number;
  readonly count: number;
  readonly codec: number;
  /** Bytes of the data. */
  readonly length: number;
  readonly data: Buffer | undefined;
  /** Undefined when it is not 32 bytes. */
  readonly sum: Buffer | undefined;
}

export interface CheckpointRow {
  readonly size: number;
  readonly note: Buffer | undefined;
}

/** How far the tables reach, seen at one instant: the verification goes up to here, whatever a writer adds meanwhile. */
export interface ShardBounds {
  /** Highest leaf row + 1. */
  readonly leaves: number;
  /** Highest entry in a pack + 1. */
  readonly packed: number;
  /** Highest checkpoint row, 0 when there is none. */
  readonly checkpoint: number;
  /** Rows that no shard has: below 0 or absurdly high. */
  readonly foreign: number;
}

/** Keys `from` to `to` cannot be read. */
export type OnDamage = (from: number, to: number, why: string) => void;

function isCode(thrown: unknown, pattern: RegExp): boolean {
  return thrown instanceof Database.SqliteError && pattern.test(thrown.code);
}

const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|ERROR|FORMAT|SCHEMA|IOERR|TOOBIG)/;

/** A shard's file, open for reading. Every method throws ShardDamage when SQLite cannot make sense of it. */
export class ShardFile {
  readonly file: string;
  /** Whether the file was copied to a temporary folder because it could not be opened where it is. */
  readonly copied: boolean;
  readonly #db: Database.Database;
  /** The temporary folder of the copy. */
  readonly #folder: string | undefined;

  private constructor(file: string, db: Database.Database, folder: string | undefined) {
    this.file = file;
    this.copied = folder !== undefined;
    this.#db = db;
    this.#folder = folder;
  }

  /**
   * Opens a shard and checks that it is one.
   * @throws SealgateError LEDGER_FORMAT_NEWER
   * @throws ShardDamage when it cannot be read as a shard
   */
  static open(file: string, copyFirst = false): ShardFile {
    let shard: ShardFile | undefined;
    try {
      shard = copyFirst ? openCopied(file) : openInPlace(file);
      shard.#check();
      return shard;
    } catch (thrown) {
      shard?.close();
      if (!copyFirst && needsCopy(thrown) && fs.existsSync(file)) return ShardFile.open(file, true);
      throw asDamage(thrown);
    }
  }

  /** For openInPlace and openCopied. */
  static of(file: string, db: Database.Database, folder?: string): ShardFile {
    return new ShardFile(file, db, folder);
  }

  close(): void {
    this.#db.close();
    if (this.#folder !== undefined) fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #check(): void {
    const db = this.#db;
    db.pragma('trusted_schema = OFF');
    db.pragma('query_only = ON');
    db.pragma('cell_size_check = ON');
    db.pragma('mmap_size = 0');
    const application = db.pragma('application_id', { simple: true });
    const version = db.pragma('user_version', { simple: true });
    if (application !== APPLICATION_ID) throw new ShardDamage('it is not a ledger shard (application_id is another)');
    if (typeof version !== 'number' || version < 1) throw new ShardDamage('its format version is missing');
    if (version > FORMAT_VERSION) {
      throw new SealgateError(
        'LEDGER_FORMAT_NEWER',
        `${this.file}: format ${version}, this release reads up to ${FORMAT_VERSION}: verify with the release that wrote it`,
      );
    }
    const kind = db.prepare('SELECT type, sql FROM sqlite_schema WHERE name = ?').raw();
    const columns = db.prepare('SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid LIMIT 16').raw();
    for (const [table, expected] of Object.entries(SCHEMA)) {
      const [type, sql] = row(kind.get(table));
      if (type === undefined) throw new ShardDamage(`table ${table} is missing`);
      if (type !== 'table' || typeof sql !== 'string' || !/^CREATE TABLE\b/i.test(sql)) {
        throw new ShardDamage(`${table} is not an ordinary table`);
      }
      const found = columns.all(table).map(row);
      const text = found.map(([name, columnType, key]) => `${name} ${columnType} ${key}`).join(', ');
      if (text !== expected || found.some(([, , , hidden]) => hidden !== 0)) {
        throw new ShardDamage(`table ${table} does not have the columns of the format`);
      }
    }
  }

  /**
   * What is wrong with the pages themselves, as SQLite says it, at most a few: rows that a damaged page hides look like rows
   * that were never there.
   */
  damage(): string[] {
    try {
      const found = this.#db.pragma(`quick_check(${MAX_DAMAGE})`, { simple: false });
      const texts = Array.isArray(found)
        ? found.flatMap((line: unknown) => Object.values(Object(line)).map(String))
        : [];
      return texts.filter((text) => text !== 'ok').map((text) => text.replaceAll(/\s+/g, ' ').slice(0, 300));
    } catch (thrown) {
      if (isCode(thrown, DAMAGE)) return [messageOf(thrown)];
      throw thrown;
    }
  }

  /** What the database declares; the first of it, when it is more than any shard has. */
  objects(): SchemaRow[] {
    const text = (column: string) => `CASE WHEN typeof(${column}) = 'text' THEN substr(${column}, 1, 2000) END`;
    const sql = `SELECT ${['type', 'name', 'tbl_name', 'sql'].map(text).join(', ')} FROM sqlite_schema LIMIT 200`;
    const string = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    return this.#guard(() =>
      this.#db
        .prepare(sql)
        .raw()
        .all()
        .map((found) => {
          const [type, name, table, statement] = row(found);
          return { type: string(type), name: string(name), table: string(table), sql: string(statement) };
        }),
    );
  }

  /** The bounds of all tables in one read transaction. */
  bounds(): ShardBounds {
    return this.#guard(() =>
      this.#db.transaction(() => {
        const top = (sql: string): number => {
          const [value] = row(this.#db.prepare(sql).raw().get(SEQ_LIMIT));
          return typeof value === 'number' ? value : 0;
        };
        return {
          leaves: top('SELECT max(seq) + 1 FROM leaf NOT INDEXED WHERE seq >= 0 AND seq < ?'),
          packed: top(
            'SELECT first + min(max(count, 1), 65536) FROM pack NOT INDEXED WHERE first >= 0 AND first < ? ORDER BY first DESC LIMIT 1',
          ),
          checkpoint: top('SELECT max(size) FROM checkpoint NOT INDEXED WHERE size < ?'),
          foreign:
            top('SELECT count(*) FROM leaf NOT INDEXED WHERE seq >= ?') +
            top('SELECT count(*) FROM leaf NOT INDEXED WHERE seq < 0 AND seq < ?') +
            top('SELECT count(*) FROM pack NOT INDEXED WHERE first >= ?') +
            top('SELECT count(*) FROM pack NOT INDEXED WHERE first < 0 AND first < ?') +
            top('SELECT count(*) FROM checkpoint NOT INDEXED WHERE size >= ?') +
            top('SELECT count(*) FROM checkpoint NOT INDEXED WHERE size < 0 AND size < ?'),
        };
      })(),
    );
  }

  /** The small values of `meta`, by key; none of them is trusted. */
  meta(): Map<string, string> {
    return this.#guard(() => {
      const values = new Map<string, string>();
      const rows = this.#db
        .prepare('SELECT key, value FROM meta NOT INDEXED WHERE length(key) < 100 AND length(value) < 1000 LIMIT 50')
        .raw();
      for (const [key, value] of rows.all().map(row)) {
        if (typeof key === 'string' && typeof value === 'string') values.set(key, value);
      }
      return values;
    });
  }

  /** Leaf rows below `end`, ascending. Calls `damaged` for rows that lie on pages which cannot be read, and goes on. */
  *leaves(end: number, damaged: OnDamage): Generator<LeafRow> {
    const size = `CASE WHEN typeof(leaf) = 'blob' AND length(leaf) <= ${MAX_LEAF_BYTES}`;
    // Text is three times as fast to fetch as a blob; equal lengths prove that nothing was lost on the way.
    const chunk = this.#db
      .prepare(
        `SELECT seq, ${size} THEN CAST(leaf AS TEXT) END, length(leaf) FROM leaf NOT INDEXED
         WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?`,
      )
      .raw();
    const exact = this.#db.prepare(`SELECT ${size} THEN leaf END FROM leaf NOT INDEXED WHERE seq = ?`).raw();
    for (const [seq, text, length] of this.#rows(chunk, end, LEAF_CHUNK, damaged)) {
      if (typeof text === 'string' && text.length === length) {
        yield { row: Number(seq), leaf: text };
      } else {
        const [blob] = row(exact.get(seq));
        yield { row: Number(seq), leaf: Buffer.isBuffer(blob) ? blob : undefined };
      }
    }
  }

  /** Pack rows whose first entry is below `end`, ascending. `damaged` as for leaves. */
  *packs(end: number, damaged: OnDamage): Generator<PackRow> {
    const chunk = this.#db
      .prepare(
        `SELECT first, count, codec, length(data), typeof(data),
           CASE WHEN typeof(data) = 'blob' AND length(data) <= ${INLINE_PACK_BYTES} THEN data END,
           CASE WHEN typeof(sum) = 'blob' AND length(sum) = 32 THEN sum END
         FROM pack NOT INDEXED WHERE first >= ? AND first < ? ORDER BY first LIMIT ?`,
      )
      .raw();
    for (const [first, count, codec, length, type, data, sum] of this.#rows(chunk, end, PACK_CHUNK, damaged)) {
      yield {
        first: Number(first),
        count: typeof count === 'number' && Number.isSafeInteger(count) ? count : 0,
        codec: typeof codec === 'number' ? codec : -1,
        length: type === 'blob' && typeof length === 'number' ? length : Number.POSITIVE_INFINITY,
        data: Buffer.isBuffer(data) ? data : undefined,
        sum: Buffer.isBuffer(sum) ? sum : undefined,
      };
    }
  }

  /** Checkpoint rows with 0 ≤ size < `end`, ascending. `damaged` as for leaves. */
  *checkpoints(end: number, damaged: OnDamage): Generator<CheckpointRow> {
    const chunk = this.#db
      .prepare(
        `SELECT size, CASE WHEN typeof(note) = 'blob' AND length(note) <= ${MAX_NOTE_BYTES} THEN note END
         FROM checkpoint NOT INDEXED WHERE size >= ? AND size < ? ORDER BY size LIMIT ?`,
      )
      .raw();
    for (const [size, note] of this.#rows(chunk, end, CHECKPOINT_CHUNK, damaged)) {
      yield { size: Number(size), note: Buffer.isBuffer(note) ? note : undefined };
    }
  }

  /** The rows of a statement (from, end, limit) whose first column is the key, chunk by chunk, around damaged pages. */
  *#rows(
    chunk: Database.Statement,
    end: number,
    size: number,
    damaged: OnDamage,
  ): Generator<readonly unknown[], undefined> {
    let next = 0;
    let limit = size;
    while (next < end) {
      let rows: unknown[];
      try {
        rows = chunk.all(next, end, limit);
      } catch (thrown) {
        if (!isCode(thrown, DAMAGE)) throw thrown;
        if (limit > 1) {
          limit = 1;
          continue;
        }
        const to = this.#skip(chunk, next, end);
        damaged(next, to - 1, messageOf(thrown));
        next = to;
        continue;
      }
      if (rows.length === 0) return;
      for (const found of rows.map(row)) {
        const [key] = found;
        // Only a damaged tree of pages gives rows out of order or twice.
        if (typeof key !== 'number' || key < next) throw new ShardDamage('its rows are out of order');
        next = key + 1;
        yield found;
      }
      limit = Math.min(limit * 2, size);
    }
  }

  /** The first row number after `from` at which reading works again. */
  #skip(chunk: Database.Statement, from: number, end: number): number {
    for (let step = 1; from + step < end; step += step < 64 ? 1 : Math.ceil(step / 8)) {
      try {
        chunk.all(from + step, end, 1);
        return from + step;
      } catch (thrown) {
        if (!isCode(thrown, DAMAGE)) throw thrown;
      }
    }
    return end;
  }

  /** The data of a pack that was too large to come with its row. */
  packData(first: number): Buffer | undefined {
    const [data] = this.#guard(() =>
      row(this.#db.prepare('SELECT data FROM pack NOT INDEXED WHERE first = ?').raw().get(first)),
    );
    return Buffer.isBuffer(data) ? data : undefined;
  }

  #guard<T>(read: () => T): T {
    try {
      return read();
    } catch (thrown) {
      throw asDamage(thrown);
    }
  }
}

function row(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function asDamage(thrown: unknown): unknown {
  return isCode(thrown, DAMAGE) ? new ShardDamage(messageOf(thrown), { cause: thrown }) : thrown;
}

function openInPlace(file: string): ShardFile {
  const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5000 });
  return ShardFile.of(file, db);
}

function openCopied(file: string): ShardFile {
  const { db, folder } = openShardCopy(file);
  return ShardFile.of(file, db, folder);
}
