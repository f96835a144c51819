// What the audit handler is given by the composition root.

import type { Append, Appended } from '../ledger/entry.ts';
import type { EventNodes } from '../lib/audit-event.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { JsonDocument } from '../lib/json-document.ts';
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

/** Looks at each event on its way into the record, and says in the record what it finds. */
export interface EventWatch {
  /** What to do once this event, redacted, is on disk; undefined for nearly all. Throws nothing. */
  sight(doc: JsonDocument, event: EventNodes): OnRecorded | undefined;
  /** Resolves when everything that it found is on disk, too. Rejects as the ledger does; then it can be asked again. */
  settled(): Promise<void>;
}

export type OnRecorded = (place: Appended) => void;

export interface AuditParts {
  readonly watch: EventWatch;
  readonly ledger: EventLedger;
  readonly redactor: Pick<Redactor, 'event'>;
  readonly window: RedeliveryWindow;
  /** Whether somebody waits for a verdict. Asked between the slices of a batch: decisions go first. */
  readonly decisionsWaiting: () => boolean;
  readonly settings: AuditSettings;
  readonly metrics: AuditMetrics;
  readonly log: AuditLog;
}
