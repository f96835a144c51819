// Passing a log on from one key to another: what both sign, and the entry that records it. A shard is signed by one key, so
// a rotation begins a new shard (docs/ledger-format.md, "Key rotation").
import { createSigner, signNote } from '../tlog/note.ts';
import type { Append } from './entry.ts';

/**
 * First line of the statement. The second line of a checkpoint is a number and that of a statement is a log name, which has
 * a slash in it: neither can be taken for the other.
 */
export const ROTATION_HEADER = 'sealgate key rotation v1';

/** A key as far as signing takes it. */
export interface SigningKey {
  /** Log name, which is the name of the key. */
  readonly name: string;
  readonly vkey: string;
  /** Raw Ed25519 seed. */
  readonly privateKey: Uint8Array;
}

/** The rotation statement: from shard `shard` on the log is signed by `next`. A signed note, by both keys. */
export function signRotation(previous: SigningKey, next: SigningKey, shard: number): string {
  const text = [ROTATION_HEADER, next.name, previous.vkey, next.vkey, `${shard}`, ''].join('\n');
  return signNote(
    text,
    [previous, next].map(({ name, privateKey }) => createSigner(name, privateKey)),
  );
}

/** The last entry under the old key. */
export function keyEntry(previous: SigningKey, next: SigningKey, rotation: string): Append {
  const body = { previous: previous.vkey, next: next.vkey, rotation };
  return { kind: 'key', body: Buffer.from(JSON.stringify(body), 'utf8') };
}
