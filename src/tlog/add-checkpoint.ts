// The messages of the witness protocol (C2SP tlog-witness, "add-checkpoint"). Both ends take the other's for an attacker's.
import { decodeBase64, encodeBase64 } from './base64.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { Cosignature } from './cosignature.ts';
import { parseDecimal } from './decimal.ts';
import { TlogError } from './errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { formatNote, type NoteVerifier, openNote, parseNote } from './note.ts';
import { decodeText } from './text.ts';

/** Content type of the size in a 409 answer. */
export const SIZE_CONTENT_TYPE = 'text/x.tlog.size';
/** A proof between sizes below 2^64 has no more hashes. */
const MAX_PROOF_HASHES = 63;

export interface AddCheckpoint {
  /** Size of the checkpoint that the witness cosigned last, as far as the log knows. */
  readonly oldSize: number;
  /** Consistency proof from there to the checkpoint. */
  readonly proof: readonly Uint8Array[];
  /** The checkpoint, a whole note. */
  readonly note: string;
}

export function formatAddCheckpoint({ oldSize, proof, note }: AddCheckpoint): string {
  return `old ${oldSize}\n${proof.map((hash) => `${encodeBase64(hash)}\n`).join('')}\n${note}`;
}

/** Reads the body of a request. Throws PROOF_MALFORMED. */
export function parseAddCheckpoint(body: string | Uint8Array): AddCheckpoint {
  const text = decodeText(body);
  if (text === undefined) throw new TlogError('PROOF_MALFORMED', 'the request is not UTF-8');
  const blank = text.indexOf('\n\n');
  if (blank < 0) throw new TlogError('PROOF_MALFORMED', 'the request has no empty line before its checkpoint');
  const [old = '', ...hashes] = text.slice(0, blank).split('\n');
  const oldSize = old.startsWith('old ') ? parseDecimal(old.slice(4)) : undefined;
  if (oldSize === undefined) throw new TlogError('PROOF_MALFORMED', 'the first line is not "old <size>"');
  if (hashes.length > MAX_PROOF_HASHES) {
    throw new TlogError('PROOF_MALFORMED', `the proof has ${hashes.length} hashes, more than ${MAX_PROOF_HASHES}`);
  }
  const proof = hashes.map((line, index) => {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES)
      throw new TlogError('PROOF_MALFORMED', `line ${index + 2} is not the base64 of a hash`);
    return hash;
  });
  return { oldSize, proof, note: text.slice(blank + 2) };
}

/** The size in a 409 answer; undefined when it is none. */
export function parseSizeAnswer(body: string): number | undefined {
  return body.endsWith('\n') ? parseDecimal(body.slice(0, -1)) : undefined;
}

/**
 * The note with the cosignatures of an answer added, those by `witnesses` that verify; others are left out, and one that is
 * there already is replaced. Throws NOTE_UNSIGNED when there is none, SIGNATURE_INVALID, NOTE_MALFORMED.
 */
export function addCosignatures(note: string, answer: string, witnesses: readonly NoteVerifier[]): string {
  const { text, signatures } = parseNote(note);
  const { verified } = openNote(`${text}\n${answer}`, witnesses);
  const kept = signatures.filter((old) => !verified.some(({ name, id }) => name === old.name && id === old.id));
  return formatNote({ text, signatures: [...kept, ...verified] });
}

/** The witnesses that cosigned a checkpoint, which one of the log's keys signed. Throws as openCheckpoint. */
export function cosignersOf(
  note: string | Uint8Array,
  log: readonly NoteVerifier[],
  witnesses: readonly NoteVerifier[],
): readonly Cosignature[] {
  return openCheckpoint(note, { verifiers: log, witnesses }).cosignatures;
}
