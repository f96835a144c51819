// Judges the notes of the checkpoint table, and of checkpoints kept outside, by the keys the auditor gave.
import { SealgateError } from '../lib/errors.ts';
import { openCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/errors.ts';
import { keyLabel, sameKey } from '../tlog/note.ts';
import { createVerifier } from '../tlog/verifier.ts';
import { formatVkey, parseVkey, type VerifierKey } from '../tlog/vkey.ts';
import { type Era, identical, type Rotation, trustedEras } from './verify-rotation.ts';

export type NoteVerdict =
  | {
      readonly kind: 'signed';
      readonly origin: string;
      readonly size: number;
      /** Root hash, lowercase hex. */
      readonly root: string;
      /** The key's name, which is the log's name. */
      readonly key: string;
      /** The key itself. */
      readonly vkey: string;
    }
  /** Signed by keys that were not given. */
  | { readonly kind: 'other-key'; readonly message: string }
  /** Not a checkpoint, or one whose signature by a given key does not verify. */
  | { readonly kind: 'altered'; readonly message: string };

export class NoteJudge {
  readonly keys: readonly VerifierKey[];
  /** Which shards are signed by which key, as far as rotations say so. */
  readonly eras: readonly Era[];
  readonly #known: readonly VerifierKey[];
  readonly #verifiers: ReturnType<typeof createVerifier>[];

  /**
   * `rotations` are statements that both of their keys have signed; they count where they lead to or from a given key.
   * @throws SealgateError KEY_PRIVATE, or KEY_INVALID for a vkey that is malformed or not of an Ed25519 note key
   */
  constructor(vkeys: readonly string[], rotations: readonly Rotation[] = []) {
    const keys = new Map<string, VerifierKey>();
    for (const vkey of vkeys) {
      const key = readVkey(vkey);
      keys.set(`${key.name}+${key.id}+${Buffer.from(key.publicKey).toString('hex')}`, key);
    }
    if (keys.size === 0) throw new SealgateError('KEY_INVALID', 'no verifying key was given');
    this.keys = [...keys.values()];
    this.eras = trustedEras(rotations, this.keys);
    const rotated = this.eras.map(({ key }) => key).filter((key) => !this.keys.some((given) => identical(given, key)));
    this.#known = [...this.keys, ...rotated];
    this.#verifiers = this.#known.map((key) => createVerifier(key));
  }

  /** The era that a shard is in, by its origin. */
  #eraOf(origin: string): Era | undefined {
    const [, log, number] = /^(.*)\/(\d{1,15})$/s.exec(origin) ?? [];
    const shard = Number(number);
    return this.eras.find(({ from, to, key }) => key.name === log && shard >= from && shard < to);
  }

  judge(note: Uint8Array | string): NoteVerdict {
    try {
      const checkpoint = openCheckpoint(note, { verifiers: this.#verifiers });
      if (checkpoint.extensions.length > 0) return { kind: 'altered', message: 'it has extension lines' };
      const era = this.#eraOf(checkpoint.origin);
      if (era !== undefined && !checkpoint.signedBy.some((signer) => sameKey(signer, era.key))) {
        const signers = checkpoint.signedBy.map(keyLabel).join(', ');
        const message = `${signers} signed it, but the key of shards ${eraText(era)} is ${keyLabel(era.key)}`;
        return { kind: 'other-key', message };
      }
      const [signer] = checkpoint.signedBy.flatMap((by) => this.#known.filter((key) => sameKey(key, by)));
      return {
        kind: 'signed',
        origin: checkpoint.origin,
        size: checkpoint.size,
        root: Buffer.from(checkpoint.root).toString('hex'),
        key: signer?.name ?? '',
        vkey: signer === undefined ? '' : formatVkey(signer),
      };
    } catch (thrown) {
      if (!(thrown instanceof TlogError)) throw thrown;
      return { kind: thrown.code === 'NOTE_UNSIGNED' ? 'other-key' : 'altered', message: thrown.message };
    }
  }
}

function eraText({ from, to }: Era): string {
  return Number.isFinite(to) ? `${from} to ${to - 1}` : `from ${from} on`;
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
  return new SealgateError(cause.code === 'KEY_IS_PRIVATE' ? 'KEY_PRIVATE' : 'KEY_INVALID', cause.message, { cause });
}
