// Checks a proof file offline, with nothing but verifying keys. Every byte of the file is taken for an attacker's, and nothing
// of the entry is handed out before it is proven.
import { type ErrorCode, messageOf, SealgateError } from '../lib/errors.ts';
import { parseCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/errors.ts';
import { checkInclusion } from '../tlog/inclusion.ts';
import { leafHash } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { parseTlogProof, type TlogProof } from '../tlog/tlog-proof.ts';
import { commitment, SALT_BYTES } from './commitment.ts';
import type { Leaf } from './entry.ts';
import { parseLeaf } from './leaf.ts';
import type { ProofExtra } from './proof.ts';
import { NoteJudge, type NoteVerdict } from './verify-note.ts';

export type ProofStatus = 'proven' | 'invalid' | 'wrong-key' | 'other-log';

/** Exit codes of `sealgate check`; 1 is "could not run", 2 is usage. */
const EXIT_CODES: Readonly<Record<ProofStatus, number>> = { proven: 0, invalid: 10, 'wrong-key': 12, 'other-log': 13 };

const ERRORS: Readonly<Record<Exclude<ProofStatus, 'proven'>, ErrorCode>> = {
  invalid: 'PROOF_INVALID',
  'wrong-key': 'LEDGER_WRONG_KEY',
  'other-log': 'PROOF_OTHER_LOG',
};

/** An entry that was proven to be in its log. */
export interface ProvenEntry {
  /** `<log name>/<shard>`. */
  readonly origin: string;
  readonly shard: number;
  readonly leaf: Leaf;
  /** Lowercase hex. */
  readonly leafHash: string;
  /** What the leaf commits to; absent when the file does not hold it. */
  readonly body?: string;
}

/** The result of a check; `sealgate check --json` prints exactly this, and docs/proofs.md describes it. */
export interface ProofReport {
  /** Version of this object's shape. */
  readonly report: 1;
  readonly status: ProofStatus;
  readonly exitCode: number;
  /** Why it is not proven. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  readonly entry?: ProvenEntry;
  /** The checkpoint that vouches for the entry: entries it covers, root hash in hex, name of the key that signed it. */
  readonly checkpoint?: { readonly size: number; readonly root: string; readonly key: string };
  /** What was proven and what was not, a sentence each. */
  readonly proven: readonly string[];
  readonly unproven: readonly string[];
}

/** Why a file proves nothing. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: Exclude<ProofStatus, 'proven'>;

  constructor(status: Exclude<ProofStatus, 'proven'>, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Checks a proof file: the signature of its checkpoint under one of the keys, the path from the leaf to the checkpoint's
 * root, the form of the leaf, and the leaf's commitment to the body. Throws KEY_INVALID for an unusable key.
 */
export function checkProof(file: Uint8Array, vkeys: readonly string[]): ProofReport {
  const judge = new NoteJudge(vkeys);
  try {
    return check(file, judge);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    const { status, message } = thrown;
    const error = { code: ERRORS[status], message };
    return { report: 1, status, exitCode: EXIT_CODES[status], error, proven: [], unproven: [] };
  }
}

function check(file: Uint8Array, judge: NoteJudge): ProofReport {
  const proof = refusing(() => parseTlogProof(file));
  const { origin, size, root, key } = openSigned(proof.checkpoint, judge);
  const shard = shardOf(origin, key);
  if (shard === undefined) {
    throw new Refusal(
      'other-log',
      `the checkpoint is of ${origin}, which is not a shard of the log ${key} that signed it`,
    );
  }
  const { extra, ignored } = readExtra(proof);
  const bytes = Buffer.from(extra.leaf, 'latin1');
  const hash = leafHash(bytes);
  if (proof.index >= size) throw invalid(`it is for entry ${proof.index}, but its checkpoint covers only ${size}`);
  refusing(() => checkInclusion(proof.index, size, hash, proof.hashes, Buffer.from(root, 'hex')));
  // From here on the log itself vouches for the leaf; it could still be none of ours.
  const leaf = refusing(() => parseLeaf(bytes));
  if (leaf.seq !== proof.index)
    throw invalid(`the leaf says that it is entry ${leaf.seq}, the proof is for ${proof.index}`);
  const body = checkBody(leaf, extra);
  const entry: ProvenEntry = {
    origin,
    shard,
    leaf,
    leafHash: hash.toString('hex'),
    ...(body === undefined ? {} : { body }),
  };
  return {
    report: 1,
    status: 'proven',
    exitCode: EXIT_CODES.proven,
    entry,
    checkpoint: { size, root, key },
    proven: [
      `the log ${key} signed a checkpoint of ${origin} that covers ${size} ${size === 1 ? 'entry' : 'entries'}`,
      `entry ${leaf.seq} of it is this leaf, byte for byte`,
      ...(body === undefined ? [] : ['the body is the one that the leaf commits to, byte for byte']),
    ],
    unproven: [
      ...(body === undefined ? ['the body: it is not in the file; the leaf only holds a commitment to it'] : []),
      ...(ignored === 0 ? [] : [`what else the extra line holds (${ignored} keys): this release does not know it`]),
      'that everybody is shown the same history: compare the checkpoint with one kept elsewhere, or have the ledger verified',
      'that the time is right: it is the clock of the host that wrote the entry',
    ],
  };
}

function openSigned(note: string, judge: NoteJudge): Extract<NoteVerdict, { kind: 'signed' }> {
  const verdict = judge.judge(note);
  if (verdict.kind === 'signed') return verdict;
  if (verdict.kind === 'altered') throw invalid(`its checkpoint: ${verdict.message}`);
  // No signature by a given key: what the checkpoint says of itself is only good for telling the two reasons apart.
  const claimed = refusing(() => parseCheckpoint(parseNote(note).text)).origin;
  const names = judge.keys.map(({ name }) => name);
  if (names.some((name) => shardOf(claimed, name) !== undefined)) {
    throw new Refusal(
      'wrong-key',
      `the checkpoint is of ${claimed}, but another key than the given one signed it: ${verdict.message}`,
    );
  }
  throw new Refusal('other-log', `the proof is of the log ${claimed}, the key is of ${names.join(', ')}`);
}

/** The shard number when `origin` is a shard of the log. */
function shardOf(origin: string, log: string): number | undefined {
  const digits = origin.startsWith(`${log}/`) ? origin.slice(log.length + 1) : '';
  return /^(0|[1-9]\d{0,14})$/.test(digits) ? Number(digits) : undefined;
}

const KNOWN = new Set(['leaf', 'salt', 'body']);
const SALT = new RegExp(`^[0-9a-f]{${2 * SALT_BYTES}}$`);
const ASCII = /^[\x20-\x7e]*$/;

function readExtra(proof: TlogProof): { extra: ProofExtra; ignored: number } {
  if (proof.extra === undefined)
    throw invalid('it has no extra line, which holds the leaf: the leaf cannot be checked');
  const value = parseJson(proof.extra);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('its extra line is not a JSON object');
  const { leaf, salt, body } = value as Record<string, unknown>;
  if (typeof leaf !== 'string' || !ASCII.test(leaf)) throw invalid('its extra line holds no leaf');
  const ignored = Object.keys(value).filter((name) => !KNOWN.has(name)).length;
  if (salt === undefined && body === undefined) return { extra: { leaf }, ignored };
  if (typeof salt !== 'string' || typeof body !== 'string' || !SALT.test(salt)) {
    throw invalid('its extra line does not hold a body and a salt of 16 bytes in hex, both or neither');
  }
  return { extra: { leaf, salt, body }, ignored };
}

/** Undefined when the bytes are not JSON, which no JSON is. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function checkBody(leaf: Leaf, { salt, body }: ProofExtra): string | undefined {
  if (salt === undefined || body === undefined) return undefined;
  const bytes = Buffer.from(body);
  // A lone surrogate has no UTF-8: what it would be replaced with may be what was committed to, but is not what the file says.
  if (!body.isWellFormed() || bytes.length !== leaf.size || commitment(Buffer.from(salt, 'hex'), bytes) !== leaf.body) {
    throw invalid('the body is not the one that the leaf commits to');
  }
  return body;
}

/** What tlog/ or the leaf's reader refuses is a reason why the file proves nothing. */
function refusing<T>(act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    if (thrown instanceof TlogError || thrown instanceof SealgateError) throw invalid(messageOf(thrown));
    throw thrown;
  }
}

function invalid(message: string): Refusal {
  return new Refusal('invalid', message);
}
