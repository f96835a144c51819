// The one error of this room, with codes of its own: tlog/ imports nothing of Sealgate, so that it could be lifted out.

/** Every code, with its one-line meaning. */
export const TLOG_ERROR_CODES = {
  ARGUMENT_INVALID: 'the caller asked for something that cannot exist, for example an index beyond the tree',
  KEY_MALFORMED: 'a key name, vkey or raw key is not well formed',
  KEY_IS_PRIVATE: 'a private key was given where a public one belongs',
  KEY_UNSUPPORTED: 'the vkey is of a signature type that is not supported',
  KEY_AMBIGUOUS: 'two different known keys have the same name and key ID',
  NOTE_MALFORMED: 'the text is not a signed note',
  NOTE_TOO_LARGE: 'the note is larger, or has more signatures, than is accepted',
  NOTE_UNSIGNED: 'no known key has signed the note',
  SIGNATURE_INVALID: 'a signature by a known key does not verify',
  CHECKPOINT_MALFORMED: 'the text is not a checkpoint',
  ORIGIN_MISMATCH: 'the checkpoint is of another log',
  PROOF_MALFORMED: 'the proof does not follow its format, or cannot have this many hashes',
  PROOF_INVALID: 'the proof does not lead to the root',
  TILE_MALFORMED: 'a tile path, tile or entry bundle does not follow its format',
  POLICY_MALFORMED: 'the witness policy does not follow its format',
  ENTRY_TOO_LARGE: 'an entry is too large for an entry bundle',
} as const;

export type TlogErrorCode = keyof typeof TLOG_ERROR_CODES;

/** A failure with a closed code. Messages quote sizes, names and positions, never keys or signatures. */
export class TlogError extends Error {
  override readonly name = 'TlogError';
  readonly code: TlogErrorCode;

  constructor(code: TlogErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
