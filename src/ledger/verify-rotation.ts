// Which key signs which shard, from the rotation statements in the shards' links. A statement is signed by both keys and
// names the shard that the new one begins with, so that one key the auditor trusts leads to those before and after it.
import { TlogError } from '../tlog/errors.ts';
import { ed25519Verifier, keyLabel, openNote, parseNote, sameKey } from '../tlog/note.ts';
import { parseVkey, type VerifierKey } from '../tlog/vkey.ts';

const HEADER = 'sealgate key rotation v1';
const MAX_STATEMENT_BYTES = 16 * 1024;

/** From shard `shard` on the log `log` is signed by `next`, before it by `previous`: both have signed that. */
export interface Rotation {
  readonly log: string;
  readonly previous: VerifierKey;
  readonly next: VerifierKey;
  readonly shard: number;
}

/** Reads a statement and checks both signatures on it. Returns why not, when it is none. */
export function openRotation(note: string): Rotation | string {
  if (note.length > MAX_STATEMENT_BYTES) return 'it is larger than a statement can be';
  try {
    const lines = parseNote(note).text.split('\n');
    const [header, log, previousText, nextText, shardText, end] = lines;
    if (lines.length !== 6 || header !== HEADER || end !== '')
      return 'it does not have the form of a rotation statement';
    if (!/^[1-9]\d{0,14}$/.test(shardText ?? '')) return 'it does not name a shard';
    const previous = parseVkey(previousText ?? '');
    const next = parseVkey(nextText ?? '');
    if (sameKey(previous, next)) return 'it passes the log on to the same key';
    for (const key of [previous, next]) {
      if (key.type !== 'ed25519' || key.name !== log) return `${keyLabel(key)} is not a key of the log ${log}`;
      // One verifier at a time: each of the two has to have signed.
      openNote(note, [ed25519Verifier(key)]);
    }
    return { log: log ?? '', previous, next, shard: Number(shardText) };
  } catch (thrown) {
    if (!(thrown instanceof TlogError)) throw thrown;
    return thrown.message;
  }
}

/** Shards `from` … `to`−1, and the one key that signs them. */
export interface Era {
  readonly from: number;
  readonly to: number;
  readonly key: VerifierKey;
}

/**
 * The eras that the statements make. There are none unless each statement passes on the key that the one before it named, and
 * a trusted key is among them: then the statements say nothing that the auditor has a reason to believe.
 */
export function trustedEras(rotations: readonly Rotation[], trusted: readonly VerifierKey[]): Era[] {
  const eras: Era[] = [];
  for (const { previous, next, shard } of rotations.toSorted((a, b) => a.shard - b.shard)) {
    const last = eras.pop() ?? { from: 0, key: previous };
    if (!identical(last.key, previous)) return [];
    eras.push({ ...last, to: shard }, { from: shard, to: Number.POSITIVE_INFINITY, key: next });
  }
  return eras.some(({ key }) => trusted.some((one) => identical(one, key))) ? eras : [];
}

/** Key IDs are four bytes, which collide easily: the whole key counts. */
export function identical(one: VerifierKey, other: VerifierKey): boolean {
  return sameKey(one, other) && Buffer.from(one.publicKey).equals(other.publicKey);
}
