// C2SP tlog-proof: one text file that proves, offline and with only the log's key, that an entry is in a log.
// Attacker-controlled; parsed defensively.
import { decodeBase64, encodeBase64 } from './base64.ts';
import { type OpenedCheckpoint, type OpenOptions, openCheckpoint } from './checkpoint.ts';
import { parseDecimal } from './decimal.ts';
import { TlogError } from './errors.ts';
import { checkInclusion } from './inclusion.ts';
import { HASH_BYTES, requireHash, requireSize } from './merkle.ts';
import { MAX_NOTE_BYTES } from './note.ts';
import { decodeText } from './text.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';
const INDEX = 'index ';

/** As many hashes as a tree of 2^53 leaves can need. */
const MAX_PROOF_HASHES = 53;
/** Bytes of the largest file that is read: room for the largest checkpoint and as much extra data. */
export const MAX_PROOF_BYTES = 2 * MAX_NOTE_BYTES;

export interface TlogProof {
  /** Opaque, and not covered by any signature: never to be trusted. */
  readonly extra?: Uint8Array;
  /** Index of the entry, from 0. */
  readonly index: number;
  /** The audit path, from the leaf's sibling up, 32 bytes each. */
  readonly hashes: readonly Uint8Array[];
  /** The checkpoint: a whole signed note, verbatim. */
  readonly checkpoint: string;
}

/** Writes a proof down (C2SP tlog-proof, "Format"). Throws ARGUMENT_INVALID for what cannot be written. */
export function formatTlogProof(proof: TlogProof): string {
  requireSize(proof.index);
  const lines = [HEADER];
  if (proof.extra !== undefined) {
    if (proof.extra.length === 0) throw new TlogError('ARGUMENT_INVALID', 'empty extra data is left out, not written');
    lines.push(EXTRA + encodeBase64(proof.extra));
  }
  lines.push(INDEX + proof.index);
  for (const hash of proof.hashes) {
    requireHash(hash);
    lines.push(encodeBase64(hash));
  }
  return `${lines.join('\n')}\n\n${proof.checkpoint}`;
}

/** Takes a proof apart without checking anything in it. Throws PROOF_MALFORMED. */
export function parseTlogProof(file: string | Uint8Array): TlogProof {
  if (file.length > MAX_PROOF_BYTES) throw malformed(`is larger than ${MAX_PROOF_BYTES} bytes`);
  const text = decodeText(file);
  if (text === undefined) throw malformed('is not UTF-8');
  // None of the lines before the first blank one is empty, and the checkpoint follows verbatim, with blank lines of its own.
  const blank = text.indexOf('\n\n');
  if (blank < 0) throw malformed('has no blank line before the checkpoint');
  const lines = text.slice(0, blank).split('\n');
  const checkpoint = text.slice(blank + 2);
  if (lines.shift() !== HEADER) throw malformed(`does not begin with the line ${HEADER}`);
  let extra: Buffer | undefined;
  if (lines[0]?.startsWith(EXTRA)) {
    extra = decodeBase64(lines[0].slice(EXTRA.length));
    if (extra === undefined) throw malformed('has an extra line that is not base64');
    lines.shift();
  }
  const indexLine = lines.shift();
  const index = indexLine?.startsWith(INDEX) ? parseDecimal(indexLine.slice(INDEX.length)) : undefined;
  if (index === undefined) throw malformed('has no index line: "index", a space, a decimal without leading zeroes');
  if (lines.length > MAX_PROOF_HASHES)
    throw malformed(`has ${lines.length} hashes; ${MAX_PROOF_HASHES} are the most there can be`);
  const hashes = lines.map((line, i) => {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES)
      throw malformed(`has a hash line ${i + 1} that is not base64 of ${HASH_BYTES} bytes`);
    return hash;
  });
  return { ...(extra === undefined ? {} : { extra }), index, hashes, checkpoint };
}

/**
 * Checks that the entry with this leaf hash is in the log: the checkpoint is signed (see openCheckpoint for the
 * options) and the audit path leads from the leaf to its root. Throws PROOF_MALFORMED, PROOF_INVALID, and what
 * openCheckpoint throws.
 */
export function verifyTlogProof(
  file: string | Uint8Array,
  leafHash: Uint8Array,
  options: OpenOptions,
): { proof: TlogProof; checkpoint: OpenedCheckpoint } {
  const proof = parseTlogProof(file);
  const checkpoint = openCheckpoint(proof.checkpoint, options);
  if (proof.index >= checkpoint.size) {
    throw new TlogError(
      'PROOF_INVALID',
      `the proof is for entry ${proof.index}, its checkpoint has only ${checkpoint.size}`,
    );
  }
  checkInclusion(proof.index, checkpoint.size, leafHash, proof.hashes, checkpoint.root);
  return { proof, checkpoint };
}

function malformed(why: string): TlogError {
  return new TlogError('PROOF_MALFORMED', `the file ${why}; it is not a tlog-proof`);
}
