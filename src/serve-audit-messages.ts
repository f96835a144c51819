// What the main thread and the thread of the audit stream say to one another.
import type { Settings } from './config/schema.ts';
import type { Finding } from './detect/finding.ts';
import type { AppendAnswer, AppendRequest } from './ledger/remote.ts';
import type { ErrorCode } from './lib/errors.ts';
import type { RejectionReason } from './server/rejection.ts';

export interface AuditSetup {
  readonly settings: Settings;
  readonly ledgerDir: string;
  /** The shard that is written. */
  readonly shard: number;
  /** Of precedence.ts. */
  readonly precedence: SharedArrayBuffer;
  /** Of Load. */
  readonly load: SharedArrayBuffer;
}

/** What can be read of the thread at any time: Float64s in shared memory. */
export const LOAD_BYTES = 24;
export const LOAD = {
  inFlight: 0,
  inFlightBytes: 1,
  /** 1 while Sealgate's webhook configuration is missed. */
  webhookMissing: 2,
} as const;

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
}

export type ToAudit =
  | AppendAnswer
  /** Records a finding that no event shows. */
  | { readonly type: 'report'; readonly id: number; readonly finding: Finding }
  /** Opens the listener. */
  | { readonly type: 'open' }
  | { readonly type: 'retire' }
  | { readonly type: 'drain'; readonly graceMs: number }
  /** The listener is closed, and the ledger about to be. */
  | { readonly type: 'close' };

export type FromAudit =
  | AppendRequest
  | { readonly type: 'ready' }
  | { readonly type: 'open'; readonly port: number }
  /** It cannot start. */
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'certificates'; readonly expires: Date; readonly caExpires: Date | undefined }
  | { readonly type: 'reported'; readonly id: number; readonly error: WireError | undefined }
  | { readonly type: 'recorded'; readonly finding: Finding; readonly events: number }
  | {
      readonly type: 'acknowledged';
      readonly batch: { events: number; duplicates: number; malformed: number; bytes: number };
      readonly seconds: number;
    }
  | { readonly type: 'unacknowledged'; readonly code: ErrorCode }
  | { readonly type: 'redacted'; readonly events: number }
  | { readonly type: 'rejected'; readonly reason: RejectionReason }
  | { readonly type: 'drained'; readonly cut: number }
  | { readonly type: 'closed' };
