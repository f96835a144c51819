// Reads a ledger folder, beside the live writer or without one, in any thread. Every method is a short read transaction of
// its own that ends before it returns or yields: a reader that stayed in one would keep the writer from emptying its WAL. And a
// shard that is not used for a while is closed: one that is open cannot be sealed.
import { existsSync, rmSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { SealgateError } from '../lib/errors.ts';
import type { BodyText, Leaf } from './entry.ts';
import { listShards } from './files.ts';
import { leafHashHex, parseLeafText } from './leaf.ts';
import { type Body, decodePack, MAX_PACK_BYTES, RECORD_HEADER_BYTES } from './pack.ts';
import { assertSchema } from './schema.ts';
import { needsCopy, openShardCopy } from './shard-copy.ts';
import { openError } from './sqlite-errors.ts';

/** An entry, read back; nothing about it has been verified but its form. */
export interface Entry {
  readonly shard: number;
  readonly seq: number;
  readonly leaf: Leaf;
  /** The leaf as it is stored and hashed. */
  readonly leafBytes: Buffer;
  /** The same as text, which is ASCII. */
  readonly leafText: string;
  /** RFC 6962 leaf hash, lowercase hex. */
  readonly leafHash: string;
  /** 16 bytes: the HMAC key of the leaf's commitment to the body. */
  readonly salt: Buffer;
  readonly body: Buffer;
  /** The body where it was read. */
  readonly text: BodyText;
}

/** A checkpoint as it is stored: a signed note over the first `size` entries. */
export interface StoredCheckpoint {
  readonly size: number;
  readonly note: string;
}

interface PackRow {
  readonly first: number;
  readonly count: number;
  readonly codec: number;
  readonly data: Buffer;
}

/** seq, and the leaf as text: a string is half the price of a Buffer, and a leaf that parses is ASCII. */
type LeafRow = readonly [seq: number, leaf: string];

/** How long a read waits while a lock is held, which happens only when a database is recovered or closed. */
const BUSY_MS = 5000;
/** Packs read at a time while iterating: one more is read as long as these bytes are not reached. */
const CHUNK_BYTES = 1024 * 1024;
/** Entries whose leaves are read at a time while iterating, unless one pack has more. */
const CHUNK_ENTRIES = 512;
/** How long a shard that is not used stays open, in milliseconds. */
const IDLE_MS = 2000;
/** Shards open at a time; beyond it the one that was not used for longest is closed. */
const MAX_OPEN = 8;

interface OpenShard {
  readonly reader: ShardReader;
  /** performance.now() */
  usedAt: number;
}

interface OpenedShard {
  readonly db: Database.Database;
  readonly statements: ReturnType<typeof prepareStatements>;
  /** Of the temporary copy that was opened instead, for whoever closes it to remove. */
  readonly folder?: string | undefined;
}

/** What few ask for is made when they ask. */
class StoredEntry implements Entry {
  readonly shard: number;
  readonly seq: number;
  readonly leaf: Leaf;
  readonly leafText: string;
  readonly #stored: Body;

  constructor(shard: number, [seq, text]: LeafRow, leaf: Leaf, stored: Body) {
    this.shard = shard;
    this.seq = seq;
    this.leaf = leaf;
    this.leafText = text;
    this.#stored = stored;
  }

  get leafBytes(): Buffer {
    return Buffer.from(this.leafText, 'latin1');
  }

  get leafHash(): string {
    return leafHashHex(this.leafBytes);
  }

  get salt(): Buffer {
    return this.#stored.salt;
  }

  get body(): Buffer {
    return this.#stored.body;
  }

  get text(): BodyText {
    return this.#stored;
  }
}

export class LedgerReader {
  readonly dir: string;
  readonly #idleMs: number;
  /** The shards of the folder as last listed, lowest number first. */
  #files = new Map<number, string>();
  /** Of shards that were not the newest when they were read: nothing is appended to those any more. */
  readonly #ended = new Map<number, { readonly origin: string; readonly size: number }>();
  /** In the order of use, last one last. */
  readonly #open = new Map<number, OpenShard>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(dir: string, idleMs: number) {
    this.dir = dir;
    this.#idleMs = idleMs;
  }

  /** Throws LEDGER_NOT_FOUND when the folder holds no shard; LEDGER_NOT_A_LEDGER, LEDGER_FORMAT_NEWER, LEDGER_CORRUPT. */
  static open(dir: string, idleMs = IDLE_MS): LedgerReader {
    const reader = new LedgerReader(dir, idleMs);
    try {
      reader.shards();
    } catch (error) {
      reader.close();
      throw error;
    }
    if (reader.#files.size === 0) {
      throw new SealgateError(
        'LEDGER_NOT_FOUND',
        `${dir} holds no ledger: expected shard-000000.sqlite or a later one`,
      );
    }
    return reader;
  }

  /** The shards in the folder now, lowest number first. `size` is the number of entries committed. */
  shards(): { number: number; origin: string; size: number }[] {
    this.#refresh();
    return [...this.#files.keys()].map((number) => ({ number, ...this.#extent(number) }));
  }

  /** Entries committed in a shard. Throws LEDGER_NOT_FOUND when there is no such shard. */
  head(shard: number): number {
    return this.#extent(shard).size;
  }

  /** One entry, or undefined when it is not (yet) committed. */
  get(shard: number, seq: number): Entry | undefined {
    return this.#shard(shard).get(seq);
  }

  /** Entries from … to−1 in order; without `to`, up to what is committed when the iteration starts. */
  *entries(shard: number, from: number, to?: number): Generator<Entry, void, undefined> {
    const end = Math.min(to ?? Number.POSITIVE_INFINITY, this.head(shard));
    for (let next = Math.max(0, from); next < end; ) {
      // Anew for each: it may have been closed while the caller was busy with the one before.
      const { count, entries } = this.#shard(shard).chunk(next, end);
      yield* entries;
      next += count;
    }
  }

  /** The newest checkpoint; with `atLeastSize`, the oldest that covers that many entries. */
  checkpoint(shard: number, atLeastSize?: number): StoredCheckpoint | undefined {
    return this.#shard(shard).checkpoint(atLeastSize);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const number of [...this.#open.keys()]) this.#closeShard(number);
  }

  /** Origin and number of entries. */
  #extent(number: number): { readonly origin: string; readonly size: number } {
    const ended = this.#ended.get(number);
    if (ended !== undefined) return ended;
    const hasNext = this.#files.has(number + 1);
    const reader = this.#shard(number);
    const extent = { origin: reader.origin, size: reader.size() };
    if (hasNext) this.#ended.set(number, extent);
    return extent;
  }

  #shard(number: number): ShardReader {
    const now = performance.now();
    let open = this.#open.get(number);
    if (open === undefined) {
      if (!this.#files.has(number)) this.#refresh();
      const path = this.#files.get(number);
      if (path === undefined) throw new SealgateError('LEDGER_NOT_FOUND', `${this.dir} has no shard ${number}`);
      open = { reader: new ShardReader(number, path), usedAt: now };
      const [unused] = this.#open.keys();
      if (unused !== undefined && this.#open.size >= MAX_OPEN) this.#closeShard(unused);
    }
    open.usedAt = now;
    this.#open.delete(number);
    this.#open.set(number, open);
    this.#armTimer(this.#idleMs);
    return open.reader;
  }

  #armTimer(ms: number): void {
    this.#timer ??= setTimeout(() => this.#closeIdle(), ms).unref();
  }

  #closeIdle(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [number, { usedAt }] of [...this.#open]) {
      const left = usedAt + this.#idleMs - now;
      if (left > 0) {
        this.#armTimer(Math.ceil(left));
        return;
      }
      this.#closeShard(number);
    }
  }

  #closeShard(number: number): void {
    this.#open.get(number)?.reader.close();
    this.#open.delete(number);
  }

  #refresh(): void {
    if (statSync(this.dir, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new SealgateError('LEDGER_NOT_FOUND', `there is no ledger folder ${this.dir}`);
    this.#files = new Map(listShards(this.dir).map(({ number, path }) => [number, path]));
    for (const number of [...this.#open.keys(), ...this.#ended.keys()]) {
      if (this.#files.has(number)) continue;
      this.#closeShard(number);
      this.#ended.delete(number);
    }
  }
}

class ShardReader {
  readonly number: number;
  readonly origin: string;
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** Of the copy that is read instead of the shard. */
  readonly #folder: string | undefined;
  /** The pack of the last `get`: neighbours are often asked for next. */
  #unpacked: { readonly first: number; readonly bodies: readonly Body[] } | undefined;

  constructor(number: number, path: string) {
    this.number = number;
    this.#path = path;
    const { db, folder, statements } = openShard(path);
    this.#db = db;
    this.#folder = folder;
    this.#statements = statements;
    this.origin = statements.origin.get() ?? '';
  }

  size(): number {
    return this.#statements.size.get() ?? 0;
  }

  checkpoint(atLeastSize: number | undefined): StoredCheckpoint | undefined {
    const { newest, covering } = this.#statements;
    const row = atLeastSize === undefined ? newest.get() : covering.get(atLeastSize);
    return row === undefined ? undefined : { size: row.size, note: row.note.toString('utf8') };
  }

  get(seq: number): Entry | undefined {
    // The leaf first: the pack is committed with it, so that whoever sees the leaf finds the pack.
    const [row] = this.#statements.leaves.all(seq, seq + 1);
    if (row === undefined) return undefined;
    const leaf = this.#parse(row);
    let unpacked = this.#unpacked;
    if (unpacked?.bodies[seq - unpacked.first] === undefined) {
      const pack = this.#statements.packOf.get(seq);
      if (pack === undefined || pack.first + pack.count <= seq) throw this.#corrupt(seq, 'its body is missing');
      unpacked = { first: pack.first, bodies: this.#unpack(pack, leaf.size) };
      this.#unpacked = unpacked;
    }
    return this.#entry(row, leaf, unpacked.bodies[seq - unpacked.first]);
  }

  /** Entries from `from` on, at least one and not beyond `to`, which are committed: as many as a bounded read holds. */
  chunk(from: number, to: number): { readonly count: number; readonly entries: Iterable<Entry> } {
    const packs: PackRow[] = [];
    let bytes = 0;
    let end = from;
    // Leaving the loop resets the statement, which ends its read transaction.
    for (const pack of this.#statements.packsFrom.iterate(from)) {
      if (pack.first > end || pack.first + pack.count <= from) break; // a gap
      packs.push(pack);
      bytes += pack.data.length;
      end = pack.first + pack.count;
      if (end >= to || bytes >= CHUNK_BYTES || end - from >= CHUNK_ENTRIES) break;
    }
    if (packs.length === 0) throw this.#corrupt(from, 'its body is missing');
    const rows = this.#statements.leaves.all(from, Math.min(to, end));
    return { count: Math.min(to, end) - from, entries: this.#entries(from, to, packs, rows) };
  }

  /** One by one: what was read of hundreds of entries at a time would outlive the youngest of the garbage. */
  *#entries(from: number, to: number, packs: readonly PackRow[], rows: readonly LeafRow[]): Generator<Entry, void> {
    let seq = from;
    for (const pack of packs) {
      let bodies: readonly Body[] | undefined;
      for (; seq < Math.min(to, pack.first + pack.count); seq++) {
        const row = rows[seq - from];
        if (row?.[0] !== seq) throw this.#corrupt(seq, 'its leaf is missing');
        const leaf = this.#parse(row);
        bodies ??= this.#unpack(pack, leaf.size);
        yield this.#entry(row, leaf, bodies[seq - pack.first]);
      }
    }
  }

  close(): void {
    this.#db.close();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #parse([seq, text]: LeafRow): Leaf {
    let leaf: Leaf;
    try {
      leaf = parseLeafText(text);
    } catch (error) {
      throw this.#corrupt(seq, 'its leaf is damaged', error);
    }
    if (leaf.seq !== seq) throw this.#corrupt(seq, `it says that it is entry ${leaf.seq}`);
    return leaf;
  }

  #unpack({ first, count, codec, data }: PackRow, size: number): Body[] {
    try {
      // A pack of one may be larger than the limit; how large, its leaf says.
      return decodePack(codec, data, count, count === 1 ? RECORD_HEADER_BYTES + size : MAX_PACK_BYTES);
    } catch (error) {
      throw this.#corrupt(first, `the pack of ${count} that begins there is damaged`, error);
    }
  }

  #entry(row: LeafRow, leaf: Leaf, stored: Body | undefined): Entry {
    if (stored === undefined) throw this.#corrupt(leaf.seq, 'its body is missing');
    const length = stored.end - stored.start;
    if (length !== leaf.size) {
      throw this.#corrupt(leaf.seq, `its body has ${length} bytes, not the ${leaf.size} of its leaf`);
    }
    return new StoredEntry(this.number, row, leaf, stored);
  }

  #corrupt(seq: number, why: string, cause?: unknown): SealgateError {
    return new SealgateError('LEDGER_CORRUPT', `${this.#path}, entry ${seq}: ${why}; run sealgate verify`, { cause });
  }
}

/**
 * Opens a shard; a temporary copy of it where it cannot be read in place: in a folder where nothing can be written, and after its
 * writer was killed while sealing it, which left a journal that only somebody who may write can roll back.
 */
function openShard(path: string): OpenedShard {
  try {
    return prepareShard({ db: new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS }) }, path);
  } catch (error) {
    if (!needsCopy(error) || !existsSync(path)) throw openError(error, path);
  }
  try {
    return prepareShard(openShardCopy(path), path);
  } catch (error) {
    throw openError(error, path);
  }
}

function prepareShard({ db, folder }: Omit<OpenedShard, 'statements'>, path: string): OpenedShard {
  try {
    assertSchema(db, path);
    return { db, folder, statements: prepareStatements(db) };
  } catch (error) {
    db.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function prepareStatements(db: Database.Database) {
  return {
    origin: db.prepare<[], string>("SELECT value FROM meta WHERE key = 'origin'").pluck(),
    size: db.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM leaf').pluck(),
    leaves: db
      .prepare<[number, number], LeafRow>(
        'SELECT seq, CAST(leaf AS TEXT) FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq',
      )
      .raw(),
    packOf: db.prepare<[number], PackRow>(
      'SELECT first, count, codec, data FROM pack WHERE first <= ? ORDER BY first DESC LIMIT 1',
    ),
    packsFrom: db.prepare<[number], PackRow>(
      'SELECT first, count, codec, data FROM pack WHERE first >= (SELECT max(first) FROM pack WHERE first <= ?) ORDER BY first',
    ),
    newest: db.prepare<[], { size: number; note: Buffer }>(
      'SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1',
    ),
    covering: db.prepare<[number], { size: number; note: Buffer }>(
      'SELECT size, note FROM checkpoint WHERE size >= ? ORDER BY size LIMIT 1',
    ),
  };
}
