// Between pos, which counts entries over all shards, and the shard and seq that people and the ledger use.
import type Database from 'better-sqlite3';

export interface Place {
  readonly shard: number;
  readonly seq: number;
}

interface ShardSpan {
  readonly number: number;
  readonly base: number;
  readonly indexed: number;
}

/** The shards of the index at one moment. */
export class Places {
  /** Entries in the index: pos goes from 0 to size−1. */
  readonly size: number;
  readonly #shards: readonly ShardSpan[];

  private constructor(shards: readonly ShardSpan[]) {
    this.#shards = shards;
    const last = shards.at(-1);
    this.size = last === undefined ? 0 : last.base + last.indexed;
  }

  static of(db: Database.Database): Places {
    return new Places(db.prepare('SELECT number, base, indexed FROM shard ORDER BY number').all() as ShardSpan[]);
  }

  place(pos: number): Place {
    const shard = this.#shards.findLast(({ base }) => base <= pos);
    if (shard === undefined) throw new RangeError(`the index has no entry at ${pos}`);
    return { shard: shard.number, seq: pos - shard.base };
  }

  /** pos of an entry; undefined when the index does not hold it. */
  pos({ shard, seq }: Place): number | undefined {
    const span = this.#shards.find(({ number }) => number === shard);
    return span === undefined || seq < 0 || seq >= span.indexed ? undefined : span.base + seq;
  }

  /** The first pos behind a place in this direction; the place itself need not exist. */
  behind({ shard, seq }: Place, ascending: boolean): number {
    const span = this.#shards.find(({ number }) => number === shard);
    if (span === undefined) {
      const next = this.#shards.find(({ number }) => number > shard);
      const pos = next === undefined ? this.size : next.base;
      return ascending ? pos : pos - 1;
    }
    const pos = span.base + Math.min(seq, span.indexed);
    return ascending ? Math.min(pos + 1, span.base + span.indexed) : pos - 1;
  }
}
