// Keeps the index file at the ledger's end: opens it, makes sure that it belongs to this ledger, adds what is new, and begins
// again from nothing when it cannot be trusted.
import type Database from 'better-sqlite3';
import type { IndexLog } from './log.ts';
import { closeIndex, createIndex, isDamage, openIndexForWriting } from './schema.ts';
import { entryAt, type LedgerSource, readable } from './source.ts';
import { type IndexPosition, IndexWriter } from './writer.ts';

export interface TailOptions {
  readonly file: string;
  readonly source: LedgerSource;
  readonly log: IndexLog;
}

/** Owned by one thread; the only writer of its file. */
export class IndexTail {
  readonly #file: string;
  readonly #source: LedgerSource;
  readonly #log: IndexLog;
  #db: Database.Database;
  #writer: IndexWriter;
  #generation = 0;

  constructor({ file, source, log }: TailOptions) {
    this.#file = file;
    this.#source = source;
    this.#log = log;
    this.#db = openIndexForWriting(file, (reason) => log.warn({ file, reason }, 'the index is built anew'));
    try {
      this.#writer = new IndexWriter(this.#db, source);
      const reason = this.#foreign();
      if (reason !== undefined) this.#writer = this.#rebuild(reason);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#writer = this.#rebuild(error.message);
    }
  }

  /** Raised whenever the file was replaced: who reads it has to open it again. */
  get generation(): number {
    return this.#generation;
  }

  position(): IndexPosition | undefined {
    return this.#writer.position();
  }

  /**
   * Adds at most `limit` entries in one transaction, or takes out those of removed shards, and returns how many it added or took
   * out; fewer than `limit` means that it has reached the end. Throws what the ledger's reader throws, but for damaged entries.
   */
  step(limit: number): number {
    try {
      return this.#add(limit);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#writer = this.#rebuild(error.message);
      return this.#add(limit);
    }
  }

  /** Begins again from nothing, because a reader found the file damaged or gone. */
  rebuild(reason: string): void {
    this.#writer = this.#rebuild(reason);
  }

  close(): void {
    closeIndex(this.#db);
  }

  #add(limit: number): number {
    const writer = this.#writer;
    let added = 0;
    writer.begin();
    try {
      const shards = this.#source.shards();
      const [oldest] = shards;
      if (oldest !== undefined) added += writer.forgetBefore(oldest.number, limit);
      for (const { number, origin, size } of shards) {
        if (added >= limit) break;
        const position = writer.position();
        if (position !== undefined && number < position.shard) continue;
        if (position === undefined || number > position.shard) writer.openShard(number, origin);
        const from = writer.position()?.size ?? 0;
        const to = Math.min(size, from + limit - added);
        added += this.#addEntries(number, from, to);
      }
      writer.commit();
    } catch (error) {
      writer.rollback();
      throw error;
    }
    return added;
  }

  /**
   * Adds entries from … to−1. One that the reader calls damaged must not hide those behind it: from there on they are read one
   * by one, and what cannot be read is shown as damaged.
   */
  #addEntries(shard: number, from: number, to: number): number {
    let next = from;
    const whole = readable(() => {
      if (from >= to) return;
      for (const entry of this.#source.entries(shard, from, to)) {
        this.#writer.add(entry);
        next++;
      }
    });
    if (whole !== 'damaged') return next - from;
    let damaged = 0;
    const first = next;
    for (; next < to; next++) {
      const entry = entryAt(this.#source, shard, next);
      if (entry === 'damaged' || entry === undefined) {
        this.#writer.addDamaged(shard, next);
        damaged++;
      } else this.#writer.add(entry);
    }
    if (damaged > 0)
      this.#log.error({ shard, first, damaged }, 'entries of the ledger cannot be read: run sealgate verify');
    return next - from;
  }

  /** Why the index is not of this ledger, or undefined: the origins, and the hash of the last entry, must be the ledger's. */
  #foreign(): string | undefined {
    const position = this.#writer.position();
    if (position === undefined) return undefined;
    const known = this.#writer.origins();
    for (const { number, origin, size } of this.#source.shards()) {
      const indexed = known.get(number);
      if (indexed === undefined && number < position.shard) return `it lacks shard ${number}`;
      if (indexed !== undefined && indexed !== origin) return `its shard ${number} is of another log, ${indexed}`;
      if (number === position.shard && size < position.size)
        return `it is ahead of the ledger, by ${position.size - size} entries`;
    }
    const hash = this.#writer.lastHash();
    if (position.size === 0 || hash === '') return undefined;
    const last = entryAt(this.#source, position.shard, position.size - 1);
    if (last === undefined) return `the ledger has no entry ${position.shard}/${position.size - 1}`;
    if (last !== 'damaged' && last.leafHash === hash) return undefined;
    return `entry ${position.shard}/${position.size - 1} has another hash in the ledger`;
  }

  #rebuild(reason: string): IndexWriter {
    this.#log.warn({ file: this.#file, reason }, 'the index is built anew');
    this.#db.close();
    this.#db = createIndex(this.#file);
    this.#generation++;
    return new IndexWriter(this.#db, this.#source);
  }
}
