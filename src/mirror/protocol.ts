// What the mirror's thread and the main thread say to each other.
import type { ErrorCode } from '../lib/errors.ts';
import type { LocalRetentionStatus, VerifiedShard } from './local-retention.ts';
import type { ProbeStatus } from './start-probe.ts';
import type { RetentionRule, S3Options } from './stores/options.ts';
import type { UploadCounts } from './uploader.ts';
import type { WitnessStatus } from './witness-report.ts';

export interface MirrorData {
  readonly ledgerDir: string;
  readonly url: string;
  readonly retention: RetentionRule;
  readonly s3: S3Options;
  readonly intervalMs: number;
  readonly parallel: number;
  /** Absent without witnesses. */
  readonly witnesses?: WitnessData | undefined;
  /** Days that a shard stays on the volume after its last entry. Absent or 0: for ever. */
  readonly localRetentionDays?: number;
}

export interface WitnessData {
  /** The text of a policy file (C2SP tlog-policy). */
  readonly policy: string;
  /** Raw Ed25519 seed of the log's key. */
  readonly privateKey: Uint8Array;
  readonly timeoutMs: number;
}

/** How far the mirror is, as of the last look at the ledger. */
export interface MirrorStatus {
  /** The newest shard, and how many of its entries a checkpoint in the store covers. */
  readonly shard: number;
  readonly pushed: number;
  /** Entries of older shards that none covers. */
  readonly behind: number;
  /** When the oldest entry that none covers was written, microseconds; absent when all are covered. */
  readonly oldest?: number;
  /** When a checkpoint was last pushed, milliseconds. */
  readonly succeeded?: number;
  /** Since the start. */
  readonly counts: Readonly<UploadCounts>;
  readonly errors: Readonly<Partial<Record<ErrorCode, number>>>;
  /** What keeps the mirror from going on now. */
  readonly problem?: { readonly code: ErrorCode; readonly message: string };
  /** Shards whose history in the store is another one: nothing of them is pushed. */
  readonly diverged: readonly number[];
  /** What the probe of this start found; absent until it has been made. */
  readonly probe?: ProbeStatus;
  /** Absent without witnesses. */
  readonly witnesses?: WitnessStatus;
  /** Absent where every shard stays on the volume. */
  readonly local?: LocalRetentionStatus;
}

export type ToMirror =
  | { readonly type: 'close'; readonly withinMs: number }
  /** What became of the last shard that was `verified`. */
  | { readonly type: 'removed' }
  | { readonly type: 'not-removed'; readonly code: ErrorCode; readonly message: string };

export type FromMirror =
  /** A shard was read back and may leave the volume; the thread waits for the answer. */
  | { readonly type: 'verified'; readonly verified: VerifiedShard }
  | { readonly type: 'status'; readonly status: MirrorStatus }
  | {
      readonly type: 'pushed';
      readonly shard: number;
      readonly origin: string;
      readonly size: number;
      /** Root hash in hex. */
      readonly root: string;
      /** Whether entries other than anchors came since the push before. */
      readonly news: boolean;
      /** Of the store, for people. */
      readonly url: string;
      /** The checkpoint, a signed note, with the cosignatures of those in `cosignedBy`. */
      readonly note: string;
      readonly cosignedBy: readonly string[];
    }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string;
    }
  | { readonly type: 'closed' };
