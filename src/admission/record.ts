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

/** Each peer is that of a connection, and stays the same object for all its requests. */
const callers = new WeakMap<Peer, string>();

/** A `decision`. The review's bytes go in as they came, but for what was redacted. */
export function decisionEntry(uid: string, peer: Peer, verdict: Verdict, took: Took, redacted: Redacted): Append {
  const { receive, read, policies } = took;
  const times = `{"receive":${round(receive)},"read":${round(read)},"policies":${round(policies)}}`;
  const head = `{"caller":${callerOf(peer)},"verdict":${JSON.stringify(verdict)},"took":${times},"review":`;
  return {
    kind: 'decision',
    extra: { uid: uid.toLowerCase(), bundle: verdict.bundle, allowed: verdict.allowed },
    body: joined(head, redacted.bytes, '}'),
  };
}

/** An `undelivered`: the decision was recorded and nobody was there to hear it. */
export function undeliveredEntry(uid: string, decision: Appended): Append {
  const body = { decision: decision.seq, shard: decision.shard, reason: 'the client closed the connection' };
  return { kind: 'undelivered', extra: { uid: uid.toLowerCase() }, body: Buffer.from(JSON.stringify(body)) };
}

function callerOf(peer: Peer): string {
  const known = callers.get(peer);
  if (known !== undefined) return known;
  const text = JSON.stringify(peer);
  callers.set(peer, text);
  return text;
}

/** All of it in one buffer. */
function joined(before: string, bytes: Buffer, after: string): Buffer {
  const start = Buffer.byteLength(before);
  const whole = Buffer.allocUnsafe(start + bytes.length + after.length);
  whole.write(before);
  whole.set(bytes, start);
  whole.write(after, start + bytes.length, 'latin1');
  return whole;
}

/** To whole microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
