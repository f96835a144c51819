// The tree of one shard, read for proofs and exports, beside the live writer or without one. Every method is one short read:
// rows are only ever appended, so that what a checkpoint covers stays the same between two of them. Nothing is verified
// here but its form; what is computed from it has to be held against a signed root.
import { existsSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { parseCheckpoint } from '../tlog/checkpoint.ts';
import { leafHash } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { type NodeReader, rangeRoot } from '../tlog/subtree.ts';
import { type TileReader, tileNodeReader } from '../tlog/tile.ts';
import { TILE_WIDTH, type Tile } from '../tlog/tile-path.ts';
import { type Body, decodePack, MAX_PACK_BYTES, RECORD_HEADER_BYTES } from './pack.ts';
import { assertSchema } from './schema.ts';
import { needsCopy, openShardCopy } from './shard-copy.ts';
import { openError } from './sqlite-errors.ts';

/** The newest checkpoint, taken apart; its signature is not checked. */
export interface TreeHead {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** The whole signed note. */
  readonly note: string;
}

interface PackRow {
  readonly first: number;
  readonly count: number;
  readonly codec: number;
  readonly data: Buffer;
}

/** How long a read waits while a lock is held, which happens only when a database is recovered or closed. */
const BUSY_MS = 5000;
const READ_ONLY = { readonly: true, fileMustExist: true, timeout: BUSY_MS };
/** Tiles kept: a proof asks for a few, several times each. 8 KiB a tile. */
const CACHED_TILES = 64;

export class TreeReader {
  /** The shard's file, for messages. */
  readonly file: string;
  /** Reads tiles of the tree out of the tables; for tileNodeReader. */
  readonly tiles: TileReader = (tile) => this.#tile(tile);
  readonly #db: Database.Database;
  /** The temporary folder of a copy, when the file could not be read where it is. */
  readonly #folder: string | undefined;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #cache = new Map<string, Buffer>();

  private constructor(file: string, db: Database.Database, folder: string | undefined) {
    this.file = file;
    this.#db = db;
    this.#folder = folder;
    assertSchema(db, file);
    this.#statements = prepareStatements(db);
  }

  /**
   * Opens a shard; in a folder where nothing can be written, a temporary copy of it. Throws LEDGER_NOT_A_LEDGER,
   * LEDGER_FORMAT_NEWER, LEDGER_CORRUPT, or what opening the file failed with.
   */
  static open(file: string): TreeReader {
    try {
      return openDatabase(file, () => ({ db: new Database(file, READ_ONLY), folder: undefined }));
    } catch (error) {
      if (!needsCopy(error) || !existsSync(file)) throw openError(error, file);
    }
    try {
      return openDatabase(file, () => openShardCopy(file));
    } catch (error) {
      throw openError(error, file);
    }
  }

  /** For openDatabase. */
  static of(file: string, db: Database.Database, folder: string | undefined): TreeReader {
    return new TreeReader(file, db, folder);
  }

  /** Entries committed. */
  size(): number {
    return this.#read(() => this.#statements.size.get() ?? 0);
  }

  /** The newest checkpoint. Throws LEDGER_CORRUPT when there is none or it is not one. */
  head(): TreeHead {
    const row = this.#read(() => this.#statements.checkpoint.get());
    if (row === undefined) throw this.corrupt('it has no checkpoint, though every shard is created with one');
    return this.#head(row);
  }

  /**
   * The newest checkpoint of more than `after` and at most `after` + `within` entries; where there is none, the first of more
   * than that. Undefined when no checkpoint has more than `after`. Throws LEDGER_CORRUPT.
   */
  headAfter(after: number, within: number): TreeHead | undefined {
    const { between, beyond } = this.#statements;
    const row = this.#read(() => between.get(after, after + within) ?? beyond.get(after));
    return row === undefined ? undefined : this.#head(row);
  }

  #head(row: { readonly size: number; readonly note: Buffer }): TreeHead {
    try {
      const { origin, size, root } = parseCheckpoint(parseNote(row.note).text);
      if (size === row.size) return { origin, size, root: Buffer.from(root), note: row.note.toString('utf8') };
    } catch (error) {
      throw this.corrupt(`its checkpoint of size ${row.size}: ${messageOf(error)}`, error);
    }
    throw this.corrupt(`its checkpoint of size ${row.size} is in fact one of another size`);
  }

  /** Leaves `from` … `to`−1, byte for byte. Throws LEDGER_CORRUPT when one of them is missing. */
  leaves(from: number, to: number): Buffer[] {
    const rows = this.#read(() => this.#statements.leaves.all(from, to));
    // The key is unique and the rows are in its order: as many as asked for are all of them.
    if (rows.length !== to - from) throw this.corrupt(`not all of the leaves ${from} to ${to - 1} are there`);
    return rows;
  }

  /** The body of an entry and its salt, unchecked. `size` is what its leaf says. Throws LEDGER_CORRUPT. */
  body(seq: number, size: number): Body {
    const pack = this.#read(() => this.#statements.packOf.get(seq));
    const missing = `the body of entry ${seq} is missing`;
    if (pack === undefined || seq >= pack.first + pack.count) throw this.corrupt(missing);
    const bodies = this.#unpack(pack, size);
    const body = bodies[seq - pack.first];
    if (body === undefined) throw this.corrupt(missing);
    return body;
  }

  /**
   * The bodies of entries `from` … `to`−1 and their salts, unchecked, in order: one pack at a time is read and unpacked. `sizeOf`
   * says what the leaf of an entry gives as its size. Throws LEDGER_CORRUPT.
   */
  *bodies(from: number, to: number, sizeOf: (seq: number) => number): Generator<Body, void, undefined> {
    for (let next = from; next < to; ) {
      const pack = this.#read(() => this.#statements.packOf.get(next));
      if (pack === undefined || next >= pack.first + pack.count)
        throw this.corrupt(`the body of entry ${next} is missing`);
      const bodies = this.#unpack(pack, sizeOf(next));
      const end = Math.min(to, pack.first + pack.count);
      yield* bodies.slice(next - pack.first, end - pack.first);
      next = end;
    }
  }

  /** Nodes of the tree of the first `size` entries, for proofs and roots. */
  nodes(size: number): NodeReader {
    return tileNodeReader(size, this.tiles);
  }

  /** Root of the tree of the first `size` entries, as the tables have it. */
  root(size: number): Buffer {
    return rangeRoot(0, size, this.nodes(size));
  }

  /** An error that names the file and says where to go from there. */
  corrupt(what: string, cause?: unknown): SealgateError {
    return new SealgateError('LEDGER_CORRUPT', `${this.file}: ${what}; run sealgate verify`, { cause });
  }

  close(): void {
    this.#db.close();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #unpack({ first, count, codec, data }: PackRow, size: number): Body[] {
    // A pack of one may be larger than the limit; how large, its leaf says.
    const limit = count === 1 ? RECORD_HEADER_BYTES + size : MAX_PACK_BYTES;
    try {
      return decodePack(codec, data, count, limit);
    } catch (error) {
      throw this.corrupt(`the bodies of entries ${first} to ${first + count - 1}: ${messageOf(error)}`, error);
    }
  }

  #tile({ level, index, width }: Tile): Buffer {
    const key = `${level}/${index}/${width}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const from = index * TILE_WIDTH;
    const tile = Buffer.concat(
      level === 0 ? this.leaves(from, from + width).map(leafHash) : this.#subtrees(level, from, width),
    );
    if (this.#cache.size === CACHED_TILES) this.#cache.clear();
    this.#cache.set(key, tile);
    return tile;
  }

  #subtrees(level: number, from: number, count: number): Buffer[] {
    const rows = this.#read(() => this.#statements.subtrees.all(level, from, from + count));
    if (rows.length !== count || rows.some(({ length }) => length !== 32)) {
      throw this.corrupt(`level ${level}, ${from} to ${from + count - 1}, of the table subtree are not all there`);
    }
    return rows;
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw openError(error, this.file);
    }
  }
}

/** Nothing stays open, or lies about, when the database turns out not to be a shard. */
function openDatabase(file: string, open: () => { db: Database.Database; folder: string | undefined }): TreeReader {
  const { db, folder } = open();
  try {
    return TreeReader.of(file, db, folder);
  } catch (error) {
    db.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function prepareStatements(db: Database.Database) {
  const range = (sql: string) => db.prepare<[number, number], Buffer>(sql).pluck();
  return {
    size: db.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM leaf').pluck(),
    checkpoint: db.prepare<[], { size: number; note: Buffer }>(
      'SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1',
    ),
    leaves: range('SELECT leaf FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq'),
    subtrees: db
      .prepare<[number, number, number], Buffer>(
        'SELECT hash FROM subtree WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx',
      )
      .pluck(),
    between: db.prepare<[number, number], { size: number; note: Buffer }>(
      'SELECT size, note FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size DESC LIMIT 1',
    ),
    beyond: db.prepare<[number], { size: number; note: Buffer }>(
      'SELECT size, note FROM checkpoint WHERE size > ? ORDER BY size LIMIT 1',
    ),
    packOf: db.prepare<[number], PackRow>(
      'SELECT first, count, codec, data FROM pack WHERE first <= ? ORDER BY first DESC LIMIT 1',
    ),
  };
}
