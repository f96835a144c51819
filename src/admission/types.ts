// What the admission handler is given by the composition root.

import type { Append, Appended } from '../ledger/entry.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { Redactor } from '../lib/redaction.ts';
import type { PolicyEngine } from '../policy/types.ts';
import type { DeadlineSettings } from './deadline.ts';

export interface AdmissionSettings extends DeadlineSettings {
  /** Deepest nesting of the object in a review. */
  readonly maxDepth: number;
  /** What a decision that cannot be recorded is answered with; docs/decisions/0004-unrecordable.md. */
  readonly onUnrecordable: 'deny' | 'allow' | 'error';
}

/** How a review ended, for metrics: a closed set. */
export type Outcome = 'allowed' | 'denied' | 'failed';

export interface AdmissionMetrics {
  /** A decision was recorded. `failed`: denied because no policy could say otherwise. Seconds from headers to answer. */
  decided(outcome: Outcome, seconds: number): void;
  /** A request got an HTTP error instead of a verdict. */
  refused(code: ErrorCode): void;
  /** A decision could not be recorded, and what was answered instead; `error` is an HTTP error without a verdict. */
  unrecorded(code: ErrorCode, answer: 'denied' | 'allowed' | 'error'): void;
  /** The client was gone before it had the answer. */
  undelivered(): void;
  /** Something was removed from a review before it was recorded. */
  redacted(): void;
}

export interface AdmissionLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The part of the ledger that is used. */
export interface DecisionLedger {
  /** Of the shard that is written. */
  readonly origin: string;
  append(lane: 'decision', entries: readonly Append[]): Promise<Appended[]>;
}

export interface AdmissionParts {
  readonly engine: Pick<PolicyEngine, 'evaluate' | 'bundle'>;
  readonly ledger: DecisionLedger;
  readonly redactor: Pick<Redactor, 'review'>;
  readonly settings: AdmissionSettings;
  readonly metrics: AdmissionMetrics;
  readonly log: AdmissionLog;
}
