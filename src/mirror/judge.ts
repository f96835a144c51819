// What a checkpoint that lies in the store means for the shard here. The store is hostile: anybody with its credentials may
// have written it; what our key signed, though, was once our history.

import { parseLeaf } from '../ledger/leaf.ts';
import type { TreeReader } from '../ledger/tree-reader.ts';
import { parseMicros } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { openCheckpoint, parseCheckpoint } from '../tlog/checkpoint.ts';
import { type NoteVerifier, parseNote } from '../tlog/note.ts';
import { createVerifier } from '../tlog/verifier.ts';

/** Longest checkpoint that is read: a note with some cosignatures has a few hundred bytes. */
export const MAX_CHECKPOINT_BYTES = 64 * 1024;

export type Judgement =
  /** Signed by the shard's key, and the shard here continues it. */
  | { readonly kind: 'ours'; readonly size: number }
  /** Not a checkpoint of this shard at all: it says nothing about our history. */
  | { readonly kind: 'junk'; readonly why: string }
  /** Of this shard by its name, but signed by another key, as anybody can: it says nothing about our history either. */
  | { readonly kind: 'foreign'; readonly why: string }
  /** The history here and the one in the store are not one. */
  | { readonly kind: 'diverged'; readonly why: string };

/** Holds a checkpoint found in the store against the shard. Throws what reading the ledger throws. */
export function judge(note: Buffer, shard: TreeReader, origin: string, key: NoteVerifier): Judgement {
  let found: { readonly size: number; readonly root: Uint8Array };
  try {
    found = openCheckpoint(note, { verifiers: [key], origin });
  } catch (error) {
    return originOf(note) === origin
      ? {
          kind: 'foreign',
          why: `it is not signed by the key of this shard (${messageOf(error)}): another ledger of the same name writes there`,
        }
      : { kind: 'junk', why: messageOf(error) };
  }
  const { size, root } = found;
  const here = shard.size();
  if (size > here) {
    return {
      kind: 'diverged',
      why: `it has ${size} entries and the ledger here only ${here}: the ledger was put back to an older copy, or its end was lost`,
    };
  }
  if (!shard.root(size).equals(root)) {
    return {
      kind: 'diverged',
      why: `the first ${size} entries are others than those here: both were signed with the same key, so this ledger or the other is a copy that went its own way, or history was rewritten`,
    };
  }
  return { kind: 'ours', size };
}

/** The key that signs a shard, as its first entry says: older shards may be of an older key. Throws LEDGER_CORRUPT. */
export function keyOf(shard: TreeReader): NoteVerifier {
  const vkey = vkeyOf(shard);
  try {
    return createVerifier(vkey);
  } catch (error) {
    throw shard.corrupt(`its first entry: ${messageOf(error)}`, error);
  }
}

/** The same as a vkey. Throws LEDGER_CORRUPT. */
export function vkeyOf(shard: TreeReader): string {
  try {
    const [leaf] = shard.leaves(0, 1);
    if (leaf === undefined) throw new Error('it has no first entry');
    const { vkey } = JSON.parse(shard.body(0, parseLeaf(leaf).size).body.toString('utf8')) as { vkey?: unknown };
    if (typeof vkey !== 'string') throw new Error('it names no key');
    return vkey;
  } catch (error) {
    if (error instanceof SealgateError) throw error;
    throw shard.corrupt(`its first entry: ${messageOf(error)}`, error);
  }
}

/** When an entry was written, or undefined when it is not there. */
export function timeOf(shard: TreeReader, seq: number): number | undefined {
  if (seq >= shard.size()) return undefined;
  const [leaf] = shard.leaves(seq, seq + 1);
  return leaf === undefined ? undefined : parseMicros(parseLeaf(leaf).time);
}

function originOf(note: Buffer): string | undefined {
  try {
    return parseCheckpoint(parseNote(note).text).origin;
  } catch {
    return undefined;
  }
}
