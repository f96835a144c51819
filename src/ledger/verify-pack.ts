// Checks one pack: its bytes against its checksum, its bodies against the commitments in their leaves. The data is attacker-controlled: what it may unpack
// to is known before it is unpacked, so that a Zstandard bomb stops at that length.
import { createHash, createHmac, hash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { messageOf } from '../lib/errors.ts';
import { isOneFrame } from './zstd-frame.ts';

/** What a leaf says about its body. */
export interface Commitment {
  readonly size: number;
  /** HMAC-SHA-256 in hex. */
  readonly body: string;
  /** Of the entry, where the caller knows it. */
  readonly kind?: string;
}

export type PackProblem =
  | { readonly kind: 'changed'; readonly index: number; readonly message: string }
  | { readonly kind: 'damaged'; readonly from: number; readonly to: number; readonly message: string };

export const MAX_PACK_ENTRIES = 256;
/** State, salt and length in front of every body. */
const HEADER = 21;
/** No body is as large as this: admission and audit refuse far smaller ones. */
const MAX_RECORDS = 256 * 1024 * 1024;
/** Records of a pack of several entries. */
const MAX_SHARED_RECORDS = 1024 * 1024;
const PRESENT = 1;

/** The most bytes that the records of these entries can have; undefined when no pack is allowed to have so many. */
export function recordsLimit(expected: readonly (Commitment | undefined)[]): number | undefined {
  if (expected.length > 1) return MAX_SHARED_RECORDS;
  const size = expected[0]?.size ?? MAX_RECORDS - HEADER;
  return size + HEADER <= MAX_RECORDS ? size + HEADER : undefined;
}

/** The most bytes that data of so many records can have once packed: Zstandard's own bound, with room. */
export function packedLimit(records: number): number {
  return records + Math.ceil(records / 128) + 1024;
}

export interface PackCheck {
  readonly problems: readonly PackProblem[];
  /** Bodies compared with their commitments. */
  readonly checked: number;
  /** The body of the pack's first entry, when it is what its leaf commits to. */
  readonly firstBody?: Buffer;
  /** Bodies of `removal` entries that are what their leaves commit to. */
  readonly removals?: readonly { readonly index: number; readonly body: Buffer }[];
}

/** What the `sum` of a pack's row has to be; undefined when its codec does not exist. */
export function sumOf(first: number, count: number, codec: number, data: Buffer): Buffer | undefined {
  if (codec !== 0 && codec !== 1) return undefined;
  const head = Buffer.alloc(13);
  head.writeBigUInt64BE(BigInt(first));
  head.writeUInt32BE(count, 8);
  head[12] = codec;
  return createHash('sha256').update(head).update(data).digest();
}

/**
 * Checks one pack. `expected` has one element an entry; undefined where the leaf is missing or unreadable, whose body is
 * then not checked. Indexes count from the pack's first entry.
 */
export function checkPack(codec: number, data: Buffer, expected: readonly (Commitment | undefined)[]): PackCheck {
  const damaged = (message: string): PackCheck => ({
    problems: [{ kind: 'damaged', from: 0, to: expected.length - 1, message }],
    checked: 0,
  });
  const limit = recordsLimit(expected);
  if (limit === undefined) return damaged('its leaf claims a body larger than any that is accepted');
  let records = data;
  if (codec === 1) {
    if (!isOneFrame(data)) return damaged('it is not one plain Zstandard frame');
    try {
      records = zstdDecompressSync(data, { maxOutputLength: limit });
    } catch (thrown) {
      return damaged(`it cannot be unpacked (${messageOf(thrown)})`);
    }
  } else if (codec !== 0) {
    return damaged(`its codec ${codec} does not exist`);
  }
  const byLeaf = walk(records, expected, true);
  if (byLeaf.problems.length === 0) return byLeaf;
  // A changed size in a leaf leads astray, a changed length in a record does too: whichever explains more was the truth.
  const byRecord = walk(records, expected, false);
  return weight(byRecord) < weight(byLeaf) ? byRecord : byLeaf;
}

/** Entries that a check puts in doubt. */
function weight(check: PackCheck): number {
  return check.problems.reduce((sum, p) => sum + (p.kind === 'changed' ? 1 : p.to - p.from + 1), 0);
}

function walk(records: Buffer, expected: readonly (Commitment | undefined)[], trustLeaf: boolean): PackCheck {
  const problems: PackProblem[] = [];
  const last = expected.length - 1;
  let firstBody: Buffer | undefined;
  const removals: { index: number; body: Buffer }[] = [];
  let offset = 0;
  let checked = 0;
  for (const [index, commitment] of expected.entries()) {
    if (offset + HEADER > records.length) {
      problems.push({ kind: 'damaged', from: index, to: last, message: 'it ends early' });
      return { problems, checked };
    }
    const length = records.readUInt32BE(offset + 17);
    const end = offset + HEADER + (trustLeaf && commitment !== undefined ? commitment.size : length);
    if (commitment !== undefined) {
      const wrong = recordProblem(records, offset, end, length, commitment);
      if (wrong !== undefined) problems.push({ kind: 'changed', index, message: wrong });
      else if (index === 0) firstBody = records.subarray(offset + HEADER, end);
      if (wrong === undefined && commitment.kind === 'removal')
        removals.push({ index, body: records.subarray(offset + HEADER, end) });
      checked += 1;
    }
    offset = end;
  }
  if (offset !== records.length) {
    const first = problems[0];
    const from = first === undefined || first.kind === 'damaged' ? 0 : first.index;
    const message = `its records have ${records.length} bytes instead of ${offset}`;
    return { problems: [{ kind: 'damaged', from, to: last, message }], checked };
  }
  return { problems, checked, removals, ...(firstBody === undefined ? {} : { firstBody }) };
}

function recordProblem(
  records: Buffer,
  offset: number,
  end: number,
  length: number,
  commitment: Commitment,
): string | undefined {
  if (length !== commitment.size) return `the record says ${length} bytes, the leaf ${commitment.size}`;
  if (end > records.length) return 'the pack ends inside the body';
  if (records[offset] !== PRESENT) return `the state of the record is ${records[offset]}, which does not exist`;
  return hmacHex(records, offset + 1, offset + HEADER, end) === commitment.body
    ? undefined
    : 'the body or its salt is not what the leaf commits to';
}

const BLOCK = 64;
const SMALL = 256 * 1024;
const inner = Buffer.alloc(BLOCK + SMALL);
const outer = Buffer.alloc(BLOCK + 32);

/** HMAC-SHA-256 of records[start..end) under the 16 bytes at `salt`: two one-shot hashes, faster than a Hmac object. */
function hmacHex(records: Buffer, salt: number, start: number, end: number): string {
  if (end - start > SMALL) {
    return createHmac('sha256', records.subarray(salt, salt + 16))
      .update(records.subarray(start, end))
      .digest('hex');
  }
  inner.fill(0x36, 16, BLOCK);
  outer.fill(0x5c, 16, BLOCK);
  for (let i = 0; i < 16; i++) {
    const byte = records[salt + i] ?? 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  records.copy(inner, BLOCK, start, end);
  outer.write(hash('sha256', inner.subarray(0, BLOCK + end - start), 'latin1'), BLOCK, 'latin1');
  return hash('sha256', outer, 'hex');
}
