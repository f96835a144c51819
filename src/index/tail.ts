// Keeps the index file at the ledger's end: opens it, makes sure that it belongs to this ledger, adds what is new, and begins
// again from nothing when it cannot be trusted.
import type Database from 'better-sqlite3';
import { SealgateError } from '../lib/errors.ts';
import type { IndexLog } from './log.ts';
import { closeIndex, createIndex, isDamage, openIndexForWriting } from './schema.ts';
import type { LedgerSource } from './source.ts';
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
   * Adds at most `limit` entries in one transaction and returns how many it added; fewer than `limit` means that it has reached
   * the end. Throws what the ledger's reader throws; what was read before that is kept.
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
      for (const { number, origin, size } of this.#source.shards()) {
        const position = writer.position();
        if (position !== undefined && number < position.shard) continue;
        if (position === undefined || number > position.shard) writer.openShard(number, origin);
        const from = writer.position()?.size ?? 0;
        const to = Math.min(size, from + limit - added);
        for (const entry of this.#source.entries(number, from, Math.max(from, to))) {
          writer.add(entry);
          added++;
        }
        if (added >= limit) break;
      }
    } catch (error) {
      if (error instanceof SealgateError && added > 0) writer.commit();
      else writer.rollback();
      throw error;
    }
    writer.commit();
    return added;
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
    if (position.size === 0) return undefined;
    const last = this.#source.get(position.shard, position.size - 1);
    if (last === undefined) return `the ledger has no shard ${position.shard}`;
    return last.leafHash === this.#writer.lastHash()
      ? undefined
      : `entry ${position.shard}/${position.size - 1} has another hash in the ledger`;
  }

  #rebuild(reason: string): IndexWriter {
    this.#log.warn({ file: this.#file, reason }, 'the index is built anew');
    this.#db.close();
    this.#db = createIndex(this.#file);
    this.#generation++;
    return new IndexWriter(this.#db, this.#source);
  }
}
