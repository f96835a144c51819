// One entry in full: what the ledger holds, and whether it is what its neighbours and its checkpoint say.

import { entryAt, type LedgerSource, type SourceEntry } from '../index/source.ts';
import { commitment } from '../ledger/commitment.ts';
import { NO_PREVIOUS } from '../ledger/entry.ts';
import { leafHashHex } from '../ledger/leaf.ts';
import { openCheckpoint } from '../tlog/checkpoint.ts';
import type { NoteVerifier } from '../tlog/note.ts';

/** How one check came out; `unknown` when the evidence for it is not there. */
export type Check = 'good' | 'bad' | 'unknown';

export interface Checks {
  /** The body is the one that the leaf commits to, and has its size. */
  readonly body: Check;
  /** `prev` is the hash of the leaf before. */
  readonly previous: Check;
  /** The `prev` of the next leaf is this leaf's hash; unknown for the newest entry. */
  readonly next: Check;
  /** A checkpoint that covers the entry is signed by the log's key; unknown while there is none. */
  readonly checkpoint: Check;
}

export interface EntryDetail {
  readonly shard: number;
  readonly seq: number;
  readonly origin: string;
  /** The leaf, byte for byte (ASCII). */
  readonly leaf: string;
  /** Lowercase hex. */
  readonly leafHash: string;
  /** Lowercase hex. */
  readonly salt: string;
  /** As recorded. */
  readonly body: string;
  /** As every body should be. */
  readonly bodyIsJson: boolean;
  readonly checks: Checks;
  /** The smallest checkpoint that covers the entry. */
  readonly checkpoint: string | null;
}

export interface DetailSource extends LedgerSource {
  checkpoint(shard: number, atLeastSize?: number): { readonly size: number; readonly note: string } | undefined;
}

/**
 * The entry with its checks, or undefined when there is none. The checks look at this entry and its neighbours only: they tell
 * a changed entry, not a changed history, which is `sealgate verify`'s to find. Without `verifier` signatures stay unknown.
 */
export function entryDetail(
  source: DetailSource,
  shard: number,
  seq: number,
  verifier?: NoteVerifier,
): EntryDetail | undefined {
  const origin = source.shards().find(({ number }) => number === shard)?.origin;
  const entry = origin === undefined ? undefined : source.get(shard, seq);
  if (origin === undefined || entry === undefined) return undefined;
  const leafHash = leafHashHex(entry.leafBytes);
  const covering = source.checkpoint(shard, seq + 1);
  const note = covering?.note ?? null;
  const body = entry.body.toString('utf8');
  return {
    shard,
    seq,
    origin,
    leaf: entry.leafBytes.toString('latin1'),
    leafHash,
    salt: entry.salt.toString('hex'),
    body,
    bodyIsJson: isJson(body),
    checks: {
      body: good(entry.body.length === entry.leaf.size && commitment(entry.salt, entry.body) === entry.leaf.body),
      previous: previousCheck(source, entry),
      next: nextCheck(source, entry, leafHash),
      checkpoint: note === null || verifier === undefined ? 'unknown' : checkpointCheck(note, origin, seq, verifier),
    },
    checkpoint: note,
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function good(holds: boolean): Check {
  return holds ? 'good' : 'bad';
}

function previousCheck(source: LedgerSource, { shard, seq, leaf }: SourceEntry): Check {
  if (seq === 0) return good(leaf.prev === NO_PREVIOUS);
  const before = entryAt(source, shard, seq - 1);
  return before === undefined || before === 'damaged' ? 'bad' : good(leaf.prev === leafHashHex(before.leafBytes));
}

function nextCheck(source: LedgerSource, { shard, seq }: SourceEntry, leafHash: string): Check {
  const next = entryAt(source, shard, seq + 1);
  if (next === undefined) return 'unknown';
  return next === 'damaged' ? 'bad' : good(next.leaf.prev === leafHash);
}

function checkpointCheck(note: string, origin: string, seq: number, verifier: NoteVerifier): Check {
  try {
    const opened = openCheckpoint(note, { origin, verifiers: [verifier] });
    return good(opened.size > seq);
  } catch {
    return 'bad';
  }
}
