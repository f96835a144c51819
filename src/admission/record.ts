// The bodies of the entries that admission makes. docs/ledger-format.md describes them.

import type { Append, Appended } from '../ledger/entry.ts';
import type { Peer } from '../lib/http.ts';
import type { Redacted } from '../lib/redaction.ts';
import type { Verdict } from './verdict.ts';

/** Milliseconds of the steps of a decision, up to the moment it is handed to the ledger. */
export interface Took {
  /** From the request's headers to the beginning of the work: receiving the body, waiting. */
  readonly receive: number;
  /** Reading and redacting. */
  readonly read: number;
  /** From asking the policies to their verdict. */
  readonly policies: number;
}

/** A `decision`. The review's bytes go in as they came, but for what was redacted. */
export function decisionEntry(uid: string, peer: Peer, verdict: Verdict, took: Took, redacted: Redacted): Append {
  const rounded = { receive: round(took.receive), read: round(took.read), policies: round(took.policies) };
  const head = `{"caller":${JSON.stringify(peer)},"verdict":${JSON.stringify(verdict)},"took":${JSON.stringify(rounded)},"review":`;
  return {
    kind: 'decision',
    extra: { uid: uid.toLowerCase(), bundle: verdict.bundle, allowed: verdict.allowed },
    body: Buffer.concat([Buffer.from(head), redacted.bytes, Buffer.from('}')]),
  };
}

/** An `undelivered`: the decision was recorded and nobody was there to hear it. */
export function undeliveredEntry(uid: string, decision: Appended): Append {
  const body = { decision: decision.seq, shard: decision.shard, reason: 'the client closed the connection' };
  return { kind: 'undelivered', extra: { uid: uid.toLowerCase() }, body: Buffer.from(JSON.stringify(body)) };
}

/** To whole microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
