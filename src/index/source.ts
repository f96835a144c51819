// What the index reads: the ledger, through this much of its reader.
import type { Leaf } from '../ledger/entry.ts';
import { SealgateError } from '../lib/errors.ts';

export interface SourceEntry {
  readonly shard: number;
  readonly seq: number;
  readonly leaf: Leaf;
  readonly leafBytes: Buffer;
  /** Lowercase hex. */
  readonly leafHash: string;
  readonly salt: Buffer;
  readonly body: Buffer;
}

export interface SourceShard {
  readonly number: number;
  readonly origin: string;
  /** Entries it holds. */
  readonly size: number;
}

export interface LedgerSource {
  /** Ascending by number. */
  shards(): readonly SourceShard[];
  get(shard: number, seq: number): SourceEntry | undefined;
  entries(shard: number, from: number, to?: number): Iterable<SourceEntry>;
}

/** What `read` gives, or that the ledger is damaged there. Anything else that it throws is thrown on. */
export function readable<T>(read: () => T): T | 'damaged' {
  try {
    return read();
  } catch (error) {
    if (error instanceof SealgateError && error.code === 'LEDGER_CORRUPT') return 'damaged';
    throw error;
  }
}
