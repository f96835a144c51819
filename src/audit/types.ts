// What the audit handler is given by the composition root.

import type { Append, Appended } from '../ledger/entry.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { Redactor } from '../lib/redaction.ts';
import type { RedeliveryWindow } from './redelivery.ts';

export interface AuditSettings {
  /** Deepest nesting of an event. */
  readonly maxDepth: number;
  /** How much is recorded of an item that is not an event. */
  readonly malformedBytes: number;
}

export interface AuditMetrics {
  /** A batch was acknowledged. Seconds from headers to answer. */
  acknowledged(batch: { events: number; duplicates: number; malformed: number; bytes: number }, seconds: number): void;
  /** A batch got an HTTP error: the API server comes again. */
  refused(code: ErrorCode): void;
  /** Something was removed from so many events of a batch before they were recorded. */
  redacted(events: number): void;
}

export interface AuditLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The part of the ledger that is used. */
export interface EventLedger {
  /** The bodies are copied before it returns: they are overwritten then. */
  append(lane: 'audit', entries: readonly Append[]): Promise<Appended[]>;
}

export interface AuditParts {
  readonly ledger: EventLedger;
  readonly redactor: Pick<Redactor, 'event'>;
  readonly window: RedeliveryWindow;
  /** Whether somebody waits for a verdict. Asked between the slices of a batch: decisions go first. */
  readonly decisionsWaiting: () => boolean;
  readonly settings: AuditSettings;
  readonly metrics: AuditMetrics;
  readonly log: AuditLog;
}
