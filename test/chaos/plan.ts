// What the parent tells a subject to do, and what a subject says: lines of `word json` on standard output.

export interface SubjectPlan {
  /** Holds `keys/` and `ledger/`. */
  readonly root: string;
  /** Goes into every marker, so that no two runs write the same. */
  readonly run: string;
  /** So many appends, then it closes; absent: appends for ever. */
  readonly appends?: number;
  /** Kills itself after so many acknowledged appends. */
  readonly killAfter?: number;
  /** Dies by SIGKILL when nothing can be acknowledged any more, instead of exiting in order. */
  readonly killOnFatal?: boolean;
  /** So many appends must succeed after one was refused before it closes. */
  readonly afterRefusal?: number;
  /** Entries of the larger audit batches. */
  readonly batch: number;
  /** Every body has about as many bytes as this, and some many more. */
  readonly bytes: number;
  /** Between two appends of a loop. */
  readonly pauseMs?: number;
  readonly wal?: { readonly softBytes: number; readonly hardBytes: number };
  /** Entries after which the next shard is begun. */
  readonly shardEntries?: number;
  readonly checkpointIntervalMs?: number;
  /** Says so many times a second how far it is: `head {size, signedSize}`. */
  readonly headEveryMs?: number;
}

export interface Failure {
  /** Of a SealgateError, else `none`. */
  readonly code: string;
  readonly message: string;
}

/** One acknowledged entry: where it is, its leaf hash, and the marker in its body. */
export type Acked = readonly [shard: number, seq: number, leafHash: string, marker: string];

/** The log name of every chaos ledger. */
export const LOG_NAME = 'ledger.example/chaos/0';

/** Exit codes of a subject; anything else was not meant. */
export const EXIT = { closed: 0, fatal: 70, refused: 71 } as const;
