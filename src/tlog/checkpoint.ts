// C2SP checkpoints: a signed note whose text is the head of a log's tree. Attacker-controlled; parsed defensively.
import { decodeBase64, encodeBase64 } from './base64.ts';
import { type Cosignature, cosignatureTime } from './cosignature.ts';
import { parseDecimal } from './decimal.ts';
import { TlogError } from './errors.ts';
import { HASH_BYTES, requireHash, requireSize } from './merkle.ts';
import { keyLabel, type NoteSigner, type NoteVerifier, openNote, sameKey, signNote } from './note.ts';
import { hasControlCharacters } from './text.ts';

/** The head of a log's tree (C2SP tlog-checkpoint, "Note text"). */
export interface Checkpoint {
  /** Which log: not empty, one line. */
  readonly origin: string;
  /** Number of leaves. */
  readonly size: number;
  /** RFC 6962 root hash, 32 bytes. */
  readonly root: Uint8Array;
  /** Extension lines, opaque; Sealgate writes none. */
  readonly extensions?: readonly string[];
}

/** A checkpoint whose signatures were checked. */
export interface OpenedCheckpoint extends Required<Checkpoint> {
  /** The note's text: what was signed. */
  readonly text: string;
  /** The known log keys that signed it, at least one. */
  readonly signedBy: readonly { readonly name: string; readonly id: number }[];
  /** The known witnesses that cosigned it. */
  readonly cosignatures: readonly Cosignature[];
}

export interface OpenOptions {
  /** Keys of the log, of which at least one must have signed. */
  readonly verifiers: readonly NoteVerifier[];
  /** Keys of witnesses (type cosignature/v1), whose cosignatures are checked where there are any. */
  readonly witnesses?: readonly NoteVerifier[];
  /** The log that the checkpoint must be of. */
  readonly origin?: string;
}

/** The text of a checkpoint, without signatures. Throws ARGUMENT_INVALID for what cannot be written down. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  requireSize(checkpoint.size);
  requireHash(checkpoint.root);
  const extensions = checkpoint.extensions ?? [];
  for (const line of [checkpoint.origin, ...extensions]) {
    if (line === '' || line.includes('\n') || hasControlCharacters(line) || !line.isWellFormed()) {
      throw new TlogError('ARGUMENT_INVALID', `not a line of a checkpoint: ${JSON.stringify(line)}`);
    }
  }
  const lines = [checkpoint.origin, String(checkpoint.size), encodeBase64(checkpoint.root), ...extensions];
  return `${lines.join('\n')}\n`;
}

/** Reads the text of a checkpoint (a note's text, not a whole note). Throws CHECKPOINT_MALFORMED. */
export function parseCheckpoint(text: string): Required<Checkpoint> {
  if (!text.endsWith('\n')) throw new TlogError('CHECKPOINT_MALFORMED', 'the last line does not end in a newline');
  const lines = text.slice(0, -1).split('\n');
  const [origin, sizeLine, rootLine, ...extensions] = lines;
  if (origin === undefined || sizeLine === undefined || rootLine === undefined) {
    throw new TlogError('CHECKPOINT_MALFORMED', `a checkpoint has at least three lines, this text has ${lines.length}`);
  }
  if (lines.includes('')) throw new TlogError('CHECKPOINT_MALFORMED', 'a line of the checkpoint is empty');
  const size = parseDecimal(sizeLine);
  if (size === undefined) {
    throw new TlogError(
      'CHECKPOINT_MALFORMED',
      'the second line is not a size: a decimal without leading zeroes, at most 2^53−1',
    );
  }
  const root = decodeBase64(rootLine);
  if (root === undefined || root.length !== HASH_BYTES) {
    throw new TlogError(
      'CHECKPOINT_MALFORMED',
      `the third line is not the base64 of a root hash of ${HASH_BYTES} bytes`,
    );
  }
  return { origin, size, root, extensions };
}

/** Signs a checkpoint: the whole note. */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/**
 * Checks the signatures of a checkpoint and reads it. A witness's cosignature alone does not do: the log must have
 * signed. Throws what openNote throws, CHECKPOINT_MALFORMED, and ORIGIN_MISMATCH.
 */
export function openCheckpoint(note: string | Uint8Array, options: OpenOptions): OpenedCheckpoint {
  const witnesses = options.witnesses ?? [];
  const opened = openNote(note, [...options.verifiers, ...witnesses]);
  const signedBy = opened.verified.filter((one) => options.verifiers.some((key) => sameKey(key, one)));
  if (signedBy.length === 0) {
    const wanted = options.verifiers.map(keyLabel).join(', ') || 'none given';
    throw new TlogError('NOTE_UNSIGNED', `no key of the log (${wanted}) signed the checkpoint, only witnesses did`);
  }
  const checkpoint = parseCheckpoint(opened.text);
  if (options.origin !== undefined && checkpoint.origin !== options.origin) {
    throw new TlogError(
      'ORIGIN_MISMATCH',
      `the checkpoint is of the log ${JSON.stringify(checkpoint.origin)}, not ${JSON.stringify(options.origin)}`,
    );
  }
  const cosignatures: Cosignature[] = [];
  for (const { name, id, signature } of opened.verified) {
    const time = cosignatureTime(signature);
    if (time === undefined || !witnesses.some((key) => sameKey(key, { name, id }))) continue;
    cosignatures.push({ name, id, time });
  }
  return { ...checkpoint, text: opened.text, signedBy: signedBy.map(({ name, id }) => ({ name, id })), cosignatures };
}
