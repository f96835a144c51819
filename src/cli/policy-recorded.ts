// A recorded decision, read from a ledger folder: what was asked, what was said, and by which policies.
import { commitment } from '../ledger/commitment.ts';
import { LedgerReader } from '../ledger/reader.ts';
import { findLedger } from '../ledger/verify.ts';
import { SealgateError } from '../lib/errors.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';
import type { PolicyFailure, PolicyPrint, PolicyResult } from '../policy/types.ts';
import { UsageError } from './failure.ts';
import { asReview, type GivenReview } from './policy-review.ts';

export interface RecordedVerdict {
  readonly allowed: boolean;
  readonly results: readonly PolicyResult[];
  readonly failures: readonly PolicyFailure[];
  readonly prints: readonly PolicyPrint[];
  readonly evaluated: readonly string[];
  readonly omitted?: number;
}

export interface RecordedDecision {
  readonly origin: string;
  readonly shard: number;
  readonly seq: number;
  readonly time: string;
  readonly uid: string;
  /** Digest of the policies that decided. */
  readonly bundle: string;
  readonly verdict: RecordedVerdict;
  /** As it was recorded: without what was redacted. */
  readonly review: GivenReview;
  /** Whether something was removed from the review. */
  readonly redacted: boolean;
}

const VERDICT = jsonName('verdict');
const REVIEW = jsonName('review');
/** As redact/ leaves it in place of a value. */
const REDACTED = '[redacted';

/**
 * The decision at `place`, `<seq>` of the newest shard or `<shard>/<seq>`. Throws UsageError, ENTRY_NOT_FOUND, LEDGER_CORRUPT
 * when the body is not the one that the leaf commits to, and what reading the folder throws.
 */
export function readDecision(dataDir: string, place: string): RecordedDecision {
  const [, shardText, seqText] = /^(?:(\d{1,15})\/)?(\d{1,15})$/.exec(place) ?? [];
  if (seqText === undefined) throw new UsageError(`${place} is not an entry: give its seq, or <shard>/<seq>`);
  const reader = LedgerReader.open(findLedger(dataDir).folder);
  try {
    const shard = shardText === undefined ? reader.shards().at(-1)?.number : Number(shardText);
    const known = reader.shards().find(({ number }) => number === shard);
    const entry = known === undefined ? undefined : reader.get(known.number, Number(seqText));
    if (known === undefined || entry === undefined)
      throw new SealgateError('ENTRY_NOT_FOUND', `${dataDir} holds no entry ${place}`);
    const { leaf, body, salt, seq } = entry;
    if (leaf.kind !== 'decision')
      throw new SealgateError('ENTRY_NOT_FOUND', `entry ${place} is no decision but of kind ${leaf.kind}`);
    if (commitment(salt, body) !== leaf.body)
      throw new SealgateError('LEDGER_CORRUPT', `the body of entry ${place} was changed: run sealgate verify`);
    const doc = new JsonDocument();
    doc.scan(body, 0);
    const bytes = Buffer.from(doc.slice(doc.find(0, REVIEW)));
    return {
      origin: known.origin,
      shard: known.number,
      seq,
      time: leaf.time,
      uid: leaf.uid ?? '',
      bundle: leaf.bundle ?? '',
      verdict: JSON.parse(doc.slice(doc.find(0, VERDICT)).toString('utf8')),
      review: asReview(bytes),
      redacted: bytes.includes(REDACTED),
    };
  } finally {
    reader.close();
  }
}
