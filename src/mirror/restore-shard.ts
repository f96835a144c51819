// Builds the file of one shard from what a walk through its mirror has proven. Until it has its name in the ledger nothing is synced:
// an interrupted one is gone on with, and what comes of it is verified as a whole before anybody relies on it.
import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { NO_PREVIOUS } from '../ledger/entry.ts';
import { parseLeaf } from '../ledger/leaf.ts';
import { PackBuilder, packSum } from '../ledger/pack.ts';
import { SUBTREE_LEVELS } from '../ledger/recover.ts';
import { assertSchema, createSchema } from '../ledger/schema.ts';
import { SealgateError } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { CompactRange } from '../tlog/compact-range.ts';
import { leafHash } from '../tlog/merkle.ts';
import type { EntrySink, ResumePoint } from './shard-walk.ts';

/** Entries and bytes after which a transaction ends; what an interruption loses. */
const COMMIT_ENTRIES = 8192;
const COMMIT_BYTES = 32 * 1024 * 1024;

export interface BuiltShard {
  readonly path: string;
  readonly log: string;
  readonly number: number;
}

export class ShardBuilder implements EntrySink {
  readonly #db: Database.Database;
  readonly #shard: BuiltShard;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #packs = new PackBuilder();
  readonly #tree: CompactRange;
  readonly #prev: string;
  /** Entries whose bodies are here. */
  #packed: number;
  #packFirst: number;
  #entries = 0;
  #bytes = 0;

  private constructor(db: Database.Database, shard: BuiltShard, tree: CompactRange, prev: string) {
    this.#db = db;
    this.#shard = shard;
    this.#statements = prepareStatements(db);
    this.#tree = tree;
    this.#prev = prev;
    this.#packed = tree.size;
    this.#packFirst = tree.size;
  }

  /** Creates the file, or goes on with one that an interrupted restore left. Throws SqliteError when it is damaged. */
  static open(shard: BuiltShard): ShardBuilder {
    const db = new Database(shard.path);
    try {
      // A kill leaves a journal that takes back the last transaction; only a power cut could do more, and that is found at the end.
      db.pragma('journal_mode = TRUNCATE');
      db.pragma('synchronous = OFF');
      db.pragma('recursive_triggers = 1');
      db.pragma('trusted_schema = 0');
      const isNew = statSync(shard.path).size === 0 || db.pragma('schema_version', { simple: true }) === 0;
      if (isNew) db.transaction(() => createSchema(db))();
      assertSchema(db, shard.path);
      const tree = new CompactRange();
      let prev: string = NO_PREVIOUS;
      for (const leaf of db.prepare<[], Buffer>('SELECT leaf FROM leaf ORDER BY seq').pluck().iterate()) {
        const hash = leafHash(leaf);
        tree.append(hash);
        prev = hash.toString('hex');
      }
      return new ShardBuilder(db, shard, tree, prev);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Where the walk goes on; undefined at the beginning. */
  get resume(): ResumePoint | undefined {
    return this.#tree.size === 0 ? undefined : { tree: this.#tree.clone(), prev: this.#prev };
  }

  leaf(seq: number, leaf: Buffer, hash: Uint8Array): void {
    if (seq !== this.#tree.size) throw this.#unproven(this.#tree.size, 'leaf');
    if (!this.#db.inTransaction) this.#statements.begin.run();
    if (seq === 0) this.#writeMeta(leaf);
    this.#statements.leaf.run(seq, leaf);
    this.#tree.append(hash, (level, index, node) => {
      if (level % SUBTREE_LEVELS === 0) this.#statements.subtree.run(level / SUBTREE_LEVELS, index, node);
    });
    this.#entries += 1;
    this.#bytes += leaf.length;
  }

  body(seq: number, salt: Uint8Array, body: Uint8Array): void {
    if (seq !== this.#packed) throw this.#unproven(this.#packed, 'body');
    if (!this.#packs.fits(body.length)) this.#flushPack();
    this.#packs.add(salt, body);
    this.#packed += 1;
    this.#bytes += body.length;
  }

  checkpoint(size: number, note: Buffer): void {
    this.#statements.checkpoint.run(size, note);
  }

  bundle(end: number): void {
    if (this.#tree.size !== end) throw this.#unproven(this.#tree.size, 'leaf');
    if (this.#packed !== end) throw this.#unproven(this.#packed, 'body');
    if (this.#entries >= COMMIT_ENTRIES || this.#bytes >= COMMIT_BYTES) this.#commit();
  }

  /** Ends the last transaction. */
  finish(): void {
    this.#commit();
  }

  /** Closes the file; what was not committed is taken back. */
  close(): void {
    this.#db.close();
  }

  #commit(): void {
    if (!this.#db.inTransaction) return;
    this.#flushPack();
    this.#statements.commit.run();
    this.#entries = 0;
    this.#bytes = 0;
  }

  #flushPack(): void {
    const pack = this.#packs.take();
    if (pack === undefined) return;
    this.#statements.pack.run(this.#packFirst, pack.count, pack.codec, pack.data, packSum(this.#packFirst, pack));
    this.#packFirst += pack.count;
  }

  #writeMeta(leaf: Buffer): void {
    const { log, number } = this.#shard;
    const meta = { shard: number, log, version: VERSION, origin: `${log}/${number}`, created: parseLeaf(leaf).time };
    for (const [key, value] of Object.entries(meta)) this.#statements.meta.run(key, String(value));
  }

  #unproven(seq: number, what: string): SealgateError {
    const { log, number } = this.#shard;
    const text = `the ${what} of entry ${seq} of ${log}/${number} is not proven by anything in the mirror: run sealgate verify on it to see what happened`;
    return new SealgateError('RESTORE_UNPROVEN', text);
  }
}

function prepareStatements(db: Database.Database) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    meta: db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)'),
    leaf: db.prepare('INSERT INTO leaf (seq, leaf) VALUES (?, ?)'),
    pack: db.prepare('INSERT INTO pack (first, count, codec, data, sum) VALUES (?, ?, ?, ?, ?)'),
    subtree: db.prepare('INSERT INTO subtree (level, idx, hash) VALUES (?, ?, ?)'),
    checkpoint: db.prepare('INSERT INTO checkpoint (size, note) VALUES (?, ?)'),
  };
}
