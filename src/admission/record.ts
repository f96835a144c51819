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

/** What a decision's body begins with: each peer is that of a connection, and stays the same object for all its requests. */
const callers = new WeakMap<Peer, Buffer>();

/** A verdict on which no policy said anything, and its JSON. */
interface Quiet {
  readonly verdict: Verdict;
  readonly bytes: Buffer;
}

/** Those that were written before: nearly all requests that the same policies looked at have the same verdict. */
const quiets: Quiet[] = [];
/** So many kinds of requests, by the policies that look at them, are most of what a cluster asks. */
const MAX_QUIETS = 16;
let nextQuiet = 0;

const CLOSING_BRACE = 0x7d;

/** A `decision`. The review's bytes go in as they came, but for what was redacted. */
export function decisionEntry(uid: string, peer: Peer, verdict: Verdict, took: Took, redacted: Redacted): Append {
  const { receive, read, policies } = took;
  const times = `{"receive":${numberOf(receive)},"read":${numberOf(read)},"policies":${numberOf(policies)}}`;
  return {
    kind: 'decision',
    extra: { uid: uid.toLowerCase(), bundle: verdict.bundle, allowed: verdict.allowed },
    body: joined(callerOf(peer), verdictOf(verdict), `,"took":${times},"review":`, redacted.bytes),
  };
}

/** An `undelivered`: the decision was recorded and nobody was there to hear it. */
export function undeliveredEntry(uid: string, decision: Appended): Append {
  const body = { decision: decision.seq, shard: decision.shard, reason: 'the client closed the connection' };
  return { kind: 'undelivered', extra: { uid: uid.toLowerCase() }, body: Buffer.from(JSON.stringify(body)) };
}

function callerOf(peer: Peer): Buffer {
  const known = callers.get(peer);
  if (known !== undefined) return known;
  const bytes = Buffer.from(`{"caller":${JSON.stringify(peer)},"verdict":`);
  callers.set(peer, bytes);
  return bytes;
}

function verdictOf(verdict: Verdict): Buffer {
  if (!isQuiet(verdict)) return Buffer.from(JSON.stringify(verdict));
  for (const known of quiets) if (isSame(known.verdict, verdict)) return known.bytes;
  const bytes = Buffer.from(JSON.stringify(verdict));
  quiets[nextQuiet] = { verdict, bytes };
  nextQuiet = (nextQuiet + 1) % MAX_QUIETS;
  return bytes;
}

function isQuiet({ results, failures, prints, data, omitted }: Verdict): boolean {
  const said = results.length + failures.length + prints.length;
  return said === 0 && data === undefined && omitted === undefined;
}

/** Whether two on which no policy said anything are the same. */
function isSame(a: Verdict, b: Verdict): boolean {
  if (a.allowed !== b.allowed || a.bundle !== b.bundle || a.evaluated.length !== b.evaluated.length) return false;
  return a.evaluated.every((policy, i) => policy === b.evaluated[i]);
}

/** A decision's body, in one buffer. `took` is ASCII. */
function joined(caller: Buffer, verdict: Buffer, took: string, review: Buffer): Buffer {
  const tookAt = caller.length + verdict.length;
  const reviewAt = tookAt + took.length;
  const whole = Buffer.allocUnsafe(reviewAt + review.length + 1);
  whole.set(caller);
  whole.set(verdict, caller.length);
  whole.write(took, tookAt, 'latin1');
  whole.set(review, reviewAt);
  whole[whole.length - 1] = CLOSING_BRACE;
  return whole;
}

/** `.001` for 1 and nothing for 0: the thousandths of a number, as it is written. */
const THOUSANDTHS = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1));

/** Milliseconds to whole microseconds, as JSON has the number. From integers: to write a double takes ten times as long. */
function numberOf(ms: number): string {
  const micros = Math.round(ms * 1000);
  if (micros < 0) return String(micros / 1000);
  const whole = Math.floor(micros / 1000);
  return `${whole}${THOUSANDTHS[micros - whole * 1000]}`;
}
