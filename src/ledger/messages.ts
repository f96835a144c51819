// What the handle of the ledger, the writer and the WAL checkpointer say to one another.
import type { SealgateError } from '../lib/errors.ts';
import type { SigningKey } from './key-rotation.ts';
import type { LedgerBreak } from './link.ts';

/** `decision` overtakes `audit`: at most one bounded commit is in front of it. */
export type Lane = 'decision' | 'audit';

/** What recovery found at start; the body of a `start` entry carries it under the same names. */
export interface Recovery {
  /** Whether the last entry was a `stop`, or there was none at all. */
  readonly clean: boolean;
  /** Entries in the shard before this start. */
  readonly entries: number;
  /** How many of them no checkpoint covered. */
  readonly unsigned: number;
  /** `continued`: what the mirror holds is the beginning of what is here. `empty`: it has nothing of this log. `unchecked`: it could not be reached. Absent without a mirror. */
  readonly mirror?: 'continued' | 'empty' | 'unchecked';
}

/** The head of the shard as of some commit. */
export interface Head {
  readonly shard: number;
  /** Entries committed. */
  readonly size: number;
  /** Entries that the last checkpoint covers. */
  readonly signedSize: number;
  /** The last checkpoint, a signed note. */
  readonly checkpoint?: string;
}

/** One commit, for metrics. */
export interface CommitInfo {
  readonly entries: number;
  /** Bytes of leaves and bodies before compression. */
  readonly bytes: number;
  /** From taking the entries off the queue until they were on disk. */
  readonly seconds: number;
}

/** What an operator should hear of. Shards are numbers. */
export type LedgerNotice =
  /** The next shard was begun, because the one before had reached a limit; `wal`: a reader kept its WAL from being emptied. */
  | { readonly type: 'rotated'; readonly shard: number; readonly because: FullBecause }
  /** The next shard could not be created; the full one takes entries until it can be. Told once. */
  | { readonly type: 'rotation-postponed'; readonly shard: number; readonly message: string }
  | { readonly type: 'sealed'; readonly shard: number }
  /** A reader, or a lack of space, keeps it from being sealed; it is tried again. Told once. */
  | { readonly type: 'unsealed'; readonly shard: number };

export type FullBecause = 'entries' | 'bytes' | 'age' | 'wal';

/** When a shard is full. The commit that reaches a limit is still in it. */
export interface ShardLimits {
  readonly entries: number;
  /** Bytes of its database. */
  readonly bytes: number;
  /** Since it was created. */
  readonly ageSeconds: number;
}

/** What a writer is made with. */
export interface WriterData {
  readonly dir: string;
  readonly logName: string;
  readonly vkey: string;
  readonly privateKey: Uint8Array;
  readonly previousKey: SigningKey | undefined;
  readonly mirror?: Recovery['mirror'];
  readonly broken: LedgerBreak | undefined;
  readonly version: string;
  readonly settingsDigest: string;
  readonly checkpointIntervalMs: number;
  readonly shardLimits: ShardLimits;
  readonly walSoftBytes: number;
  readonly walHardBytes: number;
  readonly walMaxBytes: number;
  /** The other end is the checkpointer's. */
  readonly checkpointer: import('node:worker_threads').MessagePort;
}

/** A part of an append that a commit took: entries first … first+count−1. */
export interface CommittedPart {
  readonly id: number;
  readonly first: number;
  readonly count: number;
}

/** What the writer tells whoever appends. */
export type FromWriter =
  | { readonly type: 'ready'; readonly shard: number; readonly recovery: Recovery; readonly head: Head }
  | {
      readonly type: 'committed';
      readonly parts: readonly CommittedPart[];
      /** seq of the first entry of the commit. */
      readonly first: number;
      /** Leaf hashes of the whole commit in hex, one after the other. */
      readonly hashes: string;
      readonly head: Head;
      readonly info: CommitInfo;
    }
  /** These appends failed and nothing of them will be written any more; others go on. */
  | { readonly type: 'rejected'; readonly ids: readonly number[]; readonly error: SealgateError }
  | { readonly type: 'notice'; readonly notice: LedgerNotice }
  /** The writer has stopped for good. */
  | { readonly type: 'fatal'; readonly error: SealgateError }
  | { readonly type: 'closed'; readonly head: Head };

export type ToCheckpointer =
  /** Seals these shards, which nobody writes to any more, as soon as it can. */
  | { readonly type: 'seal'; readonly paths: readonly string[] }
  | { readonly type: 'open'; readonly path: string }
  | { readonly type: 'run' }
  | { readonly type: 'close' };

export type FromCheckpointer =
  | { readonly type: 'done' }
  | { readonly type: 'closed' }
  | { readonly type: 'sealed'; readonly path: string }
  /** Told once of each shard. */
  | { readonly type: 'unsealed'; readonly path: string }
  /** No space in the database for what the WAL holds: nothing is lost, it stays in the WAL. */
  | { readonly type: 'full' }
  | { readonly type: 'failed'; readonly message: string };
