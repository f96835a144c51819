// The writer's connection to one shard: the only code that inserts. Owned by the writer.
import { renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { type Clock, formatMicros, type Micros, parseMicros } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { CompactRange } from '../tlog/compact-range.ts';
import { sha256Latin1 } from '../tlog/merkle.ts';
import type { NoteSigner, NoteVerifier } from '../tlog/note.ts';
import { type Commit, createCommitter, createSaltSource } from './commitment.ts';
import { type Append, type EntryKind, FORMAT_VERSION, MAX_LEAF_BYTES, NO_PREVIOUS } from './entry.ts';
import { FileWatch } from './file-watch.ts';
import { fsyncPath, newShardPath } from './files.ts';
import { encodeLeaf } from './leaf.ts';
import { PackBuilder, packSum } from './pack.ts';
import { readShardState, type ShardState, SUBTREE_LEVELS } from './recover.ts';
import { assertSchema, configureWriter, createSchema } from './schema.ts';
import { openError, outcomeOf, SMALLEST_DATABASE_BYTES } from './sqlite-errors.ts';

/** How long a commit waits for a write lock that nobody else should hold, in milliseconds. */
const BUSY_MS = 1000;
/** How long start-up waits for readers that keep it from moving the WAL into the database, in milliseconds. */
const RECOVERY_BUSY_MS = 5000;

/** What one commit added. */
export interface Committed {
  /** seq of the first entry; the others follow. */
  readonly first: number;
  /** Leaf hashes in hex, 64 characters each, one after the other. */
  readonly hashes: string;
  /** Bytes of leaves and bodies before compression. */
  readonly bytes: number;
  /** The checkpoint that was committed with it. */
  readonly checkpoint: string | undefined;
  /** WAL frames that it took, at most. */
  readonly frames: number;
}

export interface StoreOptions {
  readonly path: string;
  readonly origin: string;
  readonly signer: NoteSigner;
  readonly verifier: NoteVerifier;
  readonly clock: Clock;
  /** Further files that must stay where they are, such as the lock. */
  readonly watch?: readonly string[];
}

/** What a shard says about itself to people. */
export interface ShardMeta {
  readonly shard: number;
  readonly log: string;
  readonly version: string;
}

/** WAL size: frames written since it last began anew, and how many of them are in the database already. */
export interface WalState {
  readonly frames: number;
  readonly checkpointed: number;
}

/** SQLite's default, which createSchema leaves as it is. */
const PAGE_BYTES = 4096;

/** Bytes of a WAL frame: a page and its header. */
export const WAL_FRAME_BYTES = PAGE_BYTES + 24;

/**
 * Pages that a commit changes at most: those that its rows fill, if each were half empty, and of each table one that was begun before,
 * those above it, and the first page of the file. An entry's row has some hundred bytes beside its body.
 */
const COMMIT_PAGES = 24;
const ROW_BYTES = 600;
function pagesAtMost(entries: number, bytes: number): number {
  return COMMIT_PAGES + Math.ceil((2 * (bytes + entries * ROW_BYTES)) / PAGE_BYTES);
}

export class Store {
  readonly #db: Database.Database;
  readonly #options: StoreOptions;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #commit: Commit = createCommitter();
  readonly #salt = createSaltSource();
  readonly #packs = new PackBuilder();
  /** 0x00 and behind it the leaf in work: what is hashed, and from the second byte on what is stored. */
  readonly #leaf = Buffer.alloc(1 + MAX_LEAF_BYTES);
  readonly #leafHash = Buffer.alloc(32);
  readonly #watch: FileWatch;
  readonly #dataVersion: number;
  /** Of the database when it was last asked, and how many may have come since. */
  #pages: number;
  #newPages = 0;
  /** When the shard was created; now, when it does not say. */
  readonly created: Micros;
  /** The head as committed; replaced, never changed in part, so that a rollback keeps it. */
  #state: ShardState;

  private constructor(db: Database.Database, options: StoreOptions, state: ShardState) {
    this.#db = db;
    this.#options = options;
    this.#state = state;
    this.#statements = prepareStatements(db);
    this.#dataVersion = this.#statements.dataVersion.get() as number;
    this.#pages = this.#statements.pages.get() ?? 0;
    this.created = parseMicros(this.#statements.created.get() ?? '') ?? options.clock.now();
    this.#watch = new FileWatch([options.path, ...(options.watch ?? [])]);
  }

  /**
   * Creates a shard with its first entry and a checkpoint of it. It is complete and durable before it has its name, and
   * there is never a moment at which a crash leaves a shard without either.
   */
  static create(options: StoreOptions, meta: ShardMeta, first: Append): void {
    const draft = newShardPath(options.path);
    let db: Database.Database | undefined;
    try {
      db = new Database(draft);
      configureWriter(db, 'delete');
      const draftDb = db;
      db.transaction(() => {
        createSchema(draftDb);
        const insert = draftDb.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
        const created = formatMicros(options.clock.now());
        for (const [key, value] of Object.entries({ ...meta, origin: options.origin, created }))
          insert.run(key, String(value));
      })();
      const empty: ShardState = {
        tree: new CompactRange(),
        prev: NO_PREVIOUS,
        lastKind: undefined,
        signedSize: 0,
        checkpoint: undefined,
      };
      new Store(db, { ...options, path: draft, watch: [] }, empty).append([first], true);
      db.pragma('journal_mode = WAL'); // recorded in the file; the WAL itself goes when the connection closes
      db.close();
      fsyncPath(draft);
      renameSync(draft, options.path);
      fsyncPath(dirname(options.path));
    } catch (error) {
      db?.close();
      throw openError(error, options.path);
    }
  }

  /**
   * Opens a shard to append to it. Throws LEDGER_NOT_A_LEDGER, LEDGER_FORMAT_NEWER, LEDGER_WRONG_KEY, LEDGER_CORRUPT,
   * LEDGER_READ_ONLY, LEDGER_LOCKED. Whatever it throws, no entry was changed or discarded.
   */
  static open(options: StoreOptions): Store {
    const { path } = options;
    const bytes = statSync(path).size;
    let db: Database.Database | undefined;
    try {
      if (bytes < SMALLEST_DATABASE_BYTES) {
        throw new SealgateError('LEDGER_CORRUPT', `${path} has ${bytes} bytes: it was cut off; run sealgate verify`);
      }
      probe(path);
      db = new Database(path, { fileMustExist: true, timeout: RECOVERY_BUSY_MS });
      configureWriter(db, 'wal');
      settleWal(db, path);
      // The WAL may be new. SQLite syncs its folder, too, but takes a failure of that for success: what is committed to a file
      // without a durable name is not durable.
      fsyncPath(dirname(path));
      const state = readShardState(db, path, options.origin, options.verifier);
      db.pragma(`busy_timeout = ${BUSY_MS}`);
      return new Store(db, { ...options, watch: [`${path}-wal`, ...(options.watch ?? [])] }, state);
    } catch (error) {
      db?.close();
      throw openError(error, path);
    }
  }

  /** Number of entries committed. */
  get size(): number {
    return this.#state.tree.size;
  }

  /** Entries that the last checkpoint covers. */
  get signedSize(): number {
    return this.#state.signedSize;
  }

  /** The last checkpoint, a signed note. */
  get checkpoint(): string | undefined {
    return this.#state.checkpoint;
  }

  /** Leaf hash of the last entry in hex. */
  get last(): string {
    return this.#state.prev;
  }

  /** Whether the database will have so many bytes when the WAL was moved into it. SQLite is only asked when that may be. */
  reaches(bytes: number): boolean {
    if ((this.#pages + this.#newPages) * PAGE_BYTES < bytes) return false;
    this.#pages = this.#statements.pages.get() ?? 0;
    this.#newPages = 0;
    return this.#pages * PAGE_BYTES >= bytes;
  }

  /** Kind of the last entry. */
  get lastKind(): EntryKind | undefined {
    return this.#state.lastKind;
  }

  /**
   * Commits entries in one transaction, with a checkpoint over all of them if `sign`; no entries and `sign` commits only a
   * checkpoint. When it returns, they are on disk. When it throws, nothing in memory has changed; what SQLite did,
   * outcomeOf tells. Throws LEDGER_CORRUPT when somebody else wrote to the shard or replaced its file.
   */
  append(entries: readonly Append[], sign: boolean): Committed {
    this.#watch.check(performance.now());
    const statements = this.#statements;
    statements.begin.run();
    try {
      if (statements.dataVersion.get() !== this.#dataVersion) {
        throw new SealgateError(
          'LEDGER_CORRUPT',
          `${this.#options.path} was written by another connection while this process held the writer's lock: nothing more is acknowledged; find out who did that, and run sealgate verify`,
        );
      }
      const { committed, state } = this.#insert(entries, sign);
      statements.commit.run();
      this.#state = state;
      this.#newPages += committed.frames;
      return committed;
    } catch (error) {
      this.#packs.clear();
      // After most errors SQLite has rolled back by itself. If this fails too, the first error still says why.
      if (this.#db.inTransaction) statements.rollback.run();
      throw error;
    }
  }

  /** Reads the shared memory of the WAL, after SQLite has parsed the question, as it does each time. */
  walState(): WalState {
    const [, frames, checkpointed] = this.#statements.walState.get() as [number, number, number];
    return { frames: Math.max(frames, 0), checkpointed: Math.max(checkpointed, 0) };
  }

  /** Moves what it can of the WAL into the database, without waiting for readers; TRUNCATE empties it if none holds it. */
  checkpointWal(mode: 'PASSIVE' | 'TRUNCATE'): void {
    this.#db.pragma('busy_timeout = 0');
    try {
      this.#db.pragma(`wal_checkpoint(${mode})`);
    } finally {
      this.#db.pragma(`busy_timeout = ${BUSY_MS}`);
    }
  }

  /** Closes the connection. The last one to close moves the WAL into the database, if there is space, and removes it. */
  close(): void {
    try {
      this.checkpointWal('TRUNCATE');
    } catch (error) {
      if (outcomeOf(error) === 'unknown') throw error;
    } finally {
      this.#db.close();
    }
  }

  /** Closes the connection and leaves the WAL to whoever else has the shard open. */
  release(): void {
    this.#db.close();
  }

  /** Inserts within the open transaction; returns the head as it will be. */
  #insert(entries: readonly Append[], sign: boolean): { committed: Committed; state: ShardState } {
    const statements = this.#statements;
    const tree = this.#state.tree.clone();
    const first = tree.size;
    const time = formatMicros(this.#options.clock.now());
    let { prev } = this.#state;
    let lastKind = this.#state.lastKind;
    let hashes = '';
    let bytes = 0;
    const onNode = (level: number, index: number, hash: Buffer): void => {
      if (level % SUBTREE_LEVELS === 0) statements.insertSubtree.run(level / SUBTREE_LEVELS, index, hash);
    };
    let packFirst = first;
    const flush = (): void => {
      const pack = this.#packs.take();
      if (pack === undefined) return;
      statements.insertPack.run(packFirst, pack.count, pack.codec, pack.data, packSum(packFirst, pack));
      packFirst += pack.count;
    };
    for (const { kind, extra, body } of entries) {
      const salt = this.#salt();
      const leaf = {
        v: FORMAT_VERSION,
        seq: tree.size,
        time,
        kind,
        prev,
        body: this.#commit(salt, body),
        size: body.length,
        ...extra,
      };
      const length = this.#leaf.write(encodeLeaf(leaf), 1, 'latin1');
      const hash = sha256Latin1(this.#leaf.subarray(0, 1 + length));
      this.#leafHash.write(hash, 'latin1');
      prev = this.#leafHash.toString('hex');
      statements.insertLeaf.run(tree.size, this.#leaf.subarray(1, 1 + length));
      tree.append(this.#leafHash, onNode);
      if (!this.#packs.fits(body.length)) flush();
      this.#packs.add(salt, body);
      hashes += prev;
      bytes += length + body.length;
      lastKind = kind;
    }
    flush();
    let { signedSize, checkpoint } = this.#state;
    let signed: string | undefined;
    if (sign && tree.size > signedSize) {
      signed = signCheckpoint({ origin: this.#options.origin, size: tree.size, root: tree.root() }, [
        this.#options.signer,
      ]);
      statements.insertCheckpoint.run(tree.size, Buffer.from(signed, 'utf8'));
      signedSize = tree.size;
      checkpoint = signed;
    }
    return {
      committed: { first, hashes, bytes, checkpoint: signed, frames: pagesAtMost(entries.length, bytes) },
      state: { tree, prev, lastKind, signedSize, checkpoint },
    };
  }
}

function prepareStatements(db: Database.Database) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    dataVersion: db.prepare('PRAGMA data_version').pluck(),
    created: db.prepare<[], string>("SELECT value FROM meta WHERE key = 'created'").pluck(),
    pages: db.prepare<[], number>('PRAGMA page_count').pluck(),
    walState: db.prepare('PRAGMA wal_checkpoint(NOOP)').raw(),
    insertLeaf: db.prepare('INSERT INTO leaf (seq, leaf) VALUES (?, ?)'),
    insertPack: db.prepare('INSERT INTO pack (first, count, codec, data, sum) VALUES (?, ?, ?, ?, ?)'),
    insertSubtree: db.prepare('INSERT INTO subtree (level, idx, hash) VALUES (?, ?, ?)'),
    insertCheckpoint: db.prepare('INSERT INTO checkpoint (size, note) VALUES (?, ?)'),
  };
}

/** Looks at the file through a connection that cannot write, so that a newer format or a stranger's file stays as it is. */
function probe(path: string): void {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: RECOVERY_BUSY_MS });
  try {
    assertSchema(db, path);
  } finally {
    db.close();
  }
}

/**
 * Moves the WAL that a crash left into the database and makes that durable before anything is appended. Pages of the WAL
 * whose sync failed may look clean in the page cache and be lost by the next power cut; copied into the database they
 * are written and synced again. Throws LEDGER_LOCKED when a reader prevents it, LEDGER_CORRUPT when the file is shorter than it says.
 */
function settleWal(db: Database.Database, path: string): void {
  const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number; log: number; checkpointed: number }[];
  if (result === undefined || result.log !== result.checkpointed) {
    throw new SealgateError(
      'LEDGER_LOCKED',
      `a reader holds ${path} and keeps it from being recovered: end it, then start again`,
    );
  }
  const expected = Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
  const found = statSync(path).size;
  if (found < expected) {
    throw new SealgateError(
      'LEDGER_CORRUPT',
      `${path} has ${found} bytes of ${expected}: it was cut off; run sealgate verify to see what is left`,
    );
  }
}
