// What the index reads: the ledger, through this much of its reader.
import type { BodyText, Leaf } from '../ledger/entry.ts';
import { SealgateError } from '../lib/errors.ts';

export interface SourceEntry {
  readonly shard: number;
  readonly seq: number;
  readonly leaf: Leaf;
  readonly leafBytes: Buffer;
  /** The same as text, which is ASCII. */
  readonly leafText: string;
  /** Lowercase hex. */
  readonly leafHash: string;
  readonly salt: Buffer;
  readonly body: Buffer;
  /** The same where it was read. */
  readonly text: BodyText;
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
  /** Throws LEDGER_CORRUPT when the entry cannot be read, LEDGER_NOT_FOUND when there is no such shard. */
  get(shard: number, seq: number): SourceEntry | undefined;
  /** Throws as `get` does. */
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

/** One entry; undefined when the ledger does not have it, or not any more. */
export function entryAt(source: LedgerSource, shard: number, seq: number): SourceEntry | 'damaged' | undefined {
  try {
    return readable(() => source.get(shard, seq));
  } catch (error) {
    if (error instanceof SealgateError && error.code === 'LEDGER_NOT_FOUND') return undefined;
    throw error;
  }
}
