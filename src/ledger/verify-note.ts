// Judges the notes of the checkpoint table, and of checkpoints kept outside, by the keys the auditor gave.
import { SealgateError } from '../lib/errors.ts';
import { openCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/errors.ts';
import { createVerifier } from '../tlog/verifier.ts';
import { parseVkey, type VerifierKey } from '../tlog/vkey.ts';

export type NoteVerdict =
  | {
      readonly kind: 'signed';
      readonly origin: string;
      readonly size: number;
      /** Root hash, lowercase hex. */
      readonly root: string;
      /** The key's name, which is the log's name. */
      readonly key: string;
    }
  /** Signed by keys that were not given. */
  | { readonly kind: 'other-key'; readonly message: string }
  /** Not a checkpoint, or one whose signature by a given key does not verify. */
  | { readonly kind: 'altered'; readonly message: string };

export class NoteJudge {
  readonly keys: readonly VerifierKey[];
  readonly #verifiers: ReturnType<typeof createVerifier>[];

  /** @throws SealgateError KEY_INVALID for a vkey that is malformed, private, or not of an Ed25519 note key */
  constructor(vkeys: readonly string[]) {
    const keys = new Map<string, VerifierKey>();
    for (const vkey of vkeys) {
      const key = readVkey(vkey);
      keys.set(`${key.name}+${key.id}+${Buffer.from(key.publicKey).toString('hex')}`, key);
    }
    if (keys.size === 0) throw new SealgateError('KEY_INVALID', 'no verifying key was given');
    this.keys = [...keys.values()];
    this.#verifiers = this.keys.map((key) => createVerifier(key));
  }

  judge(note: Uint8Array | string): NoteVerdict {
    try {
      const checkpoint = openCheckpoint(note, { verifiers: this.#verifiers });
      if (checkpoint.extensions.length > 0) return { kind: 'altered', message: 'it has extension lines' };
      return {
        kind: 'signed',
        origin: checkpoint.origin,
        size: checkpoint.size,
        root: Buffer.from(checkpoint.root).toString('hex'),
        key: checkpoint.signedBy[0]?.name ?? '',
      };
    } catch (thrown) {
      if (!(thrown instanceof TlogError)) throw thrown;
      return { kind: thrown.code === 'NOTE_UNSIGNED' ? 'other-key' : 'altered', message: thrown.message };
    }
  }
}

function readVkey(text: string): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVkey(text);
  } catch (thrown) {
    if (!(thrown instanceof TlogError)) throw thrown;
    throw keyInvalid(thrown);
  }
  if (key.type !== 'ed25519') {
    throw new SealgateError('KEY_INVALID', `the key ${key.name} is a witness's (cosignature/v1); give the log's own`);
  }
  return key;
}

function keyInvalid(cause: TlogError): SealgateError {
  return new SealgateError('KEY_INVALID', cause.message, { cause });
}
