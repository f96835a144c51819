// What admission/ and audit/ ask of redact/, which they may not import: the composition root hands it to them.
import type { EventNodes } from './audit-event.ts';
import type { JsonDocument } from './json-document.ts';

/** A document without what must not be recorded. */
export interface Redacted {
  /** The document's bytes: a view of what came when nothing had to go, else a copy that differs only where it had to. */
  readonly bytes: Buffer;
  readonly changed: boolean;
  /** The text without quotations of the removed values: for policy messages, print output, errors, log lines. */
  scrub(text: string): string;
  /** The same in every string, key and number inside a JSON value. */
  scrubValue(value: unknown): unknown;
}

export interface Redactor {
  /** An AdmissionReview, as scanned; the result does not depend on `doc` staying as it is. */
  review(doc: JsonDocument): Redacted;
  /** An audit event, as scanned (it may be a part of a larger text). `found`: its parts, where they were looked up before. */
  event(doc: JsonDocument, found?: EventNodes): Redacted;
}
