// What a query would also be about and is not here: the shards that left this volume.
import type { Query } from '../index/query.ts';
import { listShards } from '../ledger/files.ts';
import type { LedgerReader } from '../ledger/reader.ts';
import { readKeptCopy } from '../ledger/removal.ts';
import { formatMicros, parseMicros } from '../lib/clock.ts';

/** History before the oldest shard here. */
export interface OlderHistory {
  /** The oldest shard here; those of smaller numbers are not. */
  readonly oldestShard: number;
  /** Time of its first entry: what is missing is older. */
  readonly before: string;
  /** URL of the mirror that keeps it, where a `removal` entry says so. */
  readonly store?: string;
}

/** Owned by one thread. What it says changes only when a shard goes. */
export class OlderHistories {
  readonly #reader: LedgerReader;
  #known: { readonly history: OlderHistory; readonly micros: number } | undefined;

  constructor(reader: LedgerReader) {
    this.#reader = reader;
  }

  /** The history that the query reaches back to and that is not here, or null. */
  of({ filter: { since } }: Pick<Query, 'filter'>): OlderHistory | null {
    const oldest = this.#reader.shards()[0]?.number ?? 0;
    if (oldest === 0) return null;
    if (this.#known?.history.oldestShard !== oldest) this.#known = this.#read(oldest);
    const { history, micros } = this.#known;
    return since !== undefined && since >= micros ? null : history;
  }

  /** Whether a shard was here once, or should have been. */
  left(shard: number): OlderHistory | null {
    const history = this.of({ filter: {} });
    return history !== null && shard < history.oldestShard ? history : null;
  }

  #read(oldest: number): { history: OlderHistory; micros: number } {
    const { dir } = this.#reader;
    const copy = readKeptCopy(dir, listShards(dir));
    const micros = parseMicros(this.#reader.get(oldest, 0)?.leaf.time ?? '') ?? 0;
    const before = formatMicros(micros);
    return { micros, history: { oldestShard: oldest, before, ...(copy === undefined ? {} : { store: copy.store }) } };
  }
}
