// The join: an audit event's annotation names the decision that was made about its request, and the hash of that decision's
// leaf. Here the claim is checked against the ledger.
import type { Claim } from './facts.ts';
import type { LinkState } from './schema.ts';

/** A decision as the check needs it. */
export interface Decided {
  readonly leafHash: string;
  readonly uid: string;
}

/** Where claims are looked up. */
export interface Decisions {
  /** pos of an entry by its shard's origin, or undefined for an origin that this ledger does not have. */
  locate(origin: string, seq: number): number | undefined;
  /** The entry at a pos, with no uid when it is not a decision; undefined when the ledger has it no more. */
  decided(pos: number): Decided | undefined;
}

export interface Link {
  readonly state: LinkState;
  /** pos of the decision, where there is such an entry. */
  readonly decision: number | null;
  /** The claim as found, kept when it did not prove true. */
  readonly claim: string | null;
}

const REFERENCE = /^(.{1,512}):(0|[1-9]\d{0,14}):([0-9a-f]{64})$/;
const MAX_CLAIM = 1024;

/** The parts of `<origin>:<seq>:<leaf hash>`; undefined when it is something else. */
export function claimParts(reference: string): { origin: string; seq: number; hash: string } | undefined {
  const [, origin, seq, hash] = REFERENCE.exec(reference) ?? [];
  return origin === undefined || hash === undefined ? undefined : { origin, seq: Number(seq), hash };
}

/**
 * Checks one claim of the event at `pos`.
 * - `verified`: that entry is the decision about that review and its leaf has that hash.
 * - `mismatch`: the entry exists but is another one, or has another hash; or the claim is malformed.
 * - `missing`: this ledger's log, but no such entry came before the event.
 * - `elsewhere`: another log's entry, which cannot be checked here.
 */
export function checkClaim(claim: Claim, pos: number, decisions: Decisions): Link {
  const kept = `d.${claim.uid}=${claim.reference}`.slice(0, MAX_CLAIM).toWellFormed();
  const parts = claimParts(claim.reference);
  if (parts === undefined) return { state: 'mismatch', decision: null, claim: kept };
  const { origin, seq, hash } = parts;
  const decision = decisions.locate(origin, seq);
  if (decision === undefined) return { state: 'elsewhere', decision: null, claim: kept };
  // A decision is committed before its event can exist: one that stands behind it was not there when the claim was made.
  if (decision >= pos) return { state: 'missing', decision: null, claim: kept };
  const decided = decisions.decided(decision);
  if (decided === undefined) return { state: 'missing', decision: null, claim: kept };
  if (decided.leafHash === hash && decided.uid === claim.uid) return { state: 'verified', decision, claim: null };
  return { state: 'mismatch', decision, claim: kept };
}
