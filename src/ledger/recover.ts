// What a shard holds, found out at start without reading all of it: the last checkpoint is verified, the tree is rebuilt
// from subtree rows and the last leaves and held against it, and what came after is followed entry by entry.
import type Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { openCheckpoint, parseCheckpoint } from '../tlog/checkpoint.ts';
import { CompactRange } from '../tlog/compact-range.ts';
import { TlogError } from '../tlog/errors.ts';
import { leafHash } from '../tlog/merkle.ts';
import { keyLabel, type NoteVerifier, parseNote } from '../tlog/note.ts';
import { subtreesOf } from '../tlog/subtree.ts';
import { commitment } from './commitment.ts';
import { type EntryKind, type Leaf, NO_PREVIOUS } from './entry.ts';
import { parseLeaf } from './leaf.ts';
import { decodePack, MAX_PACK_BYTES, packSum, RECORD_HEADER_BYTES } from './pack.ts';

/** One subtree row covers 256 rows of the level below. */
export const SUBTREE_LEVELS = 8;
const SUBTREE_LEAVES = 2 ** SUBTREE_LEVELS;

/** The head of a shard, as the writer continues it. */
export interface ShardState {
  readonly tree: CompactRange;
  /** Leaf hash of the last entry in hex, or 64 zeros. */
  readonly prev: string;
  readonly lastKind: EntryKind | undefined;
  /** Size of the last checkpoint, 0 when there is none. */
  readonly signedSize: number;
  /** The last checkpoint, a signed note. */
  readonly checkpoint: string | undefined;
}

interface Context {
  readonly db: Database.Database;
  /** For messages. */
  readonly path: string;
}

/**
 * Reads the state of a shard. Throws LEDGER_WRONG_KEY when its checkpoints are by another key, LEDGER_CORRUPT naming the
 * place when something does not fit.
 */
export function readShardState(
  db: Database.Database,
  path: string,
  origin: string,
  verifier: NoteVerifier,
): ShardState {
  const context: Context = { db, path };
  const size = db.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM leaf').pluck().get() ?? 0;
  const last = db
    .prepare<[], { size: number; note: Buffer }>('SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1')
    .get();
  if (last === undefined) throw corrupt(context, 'it has no checkpoint, though every shard is created with one');
  const root = verifyCheckpoint(context, last, origin, verifier);
  if (last.size > size) {
    throw corrupt(
      context,
      `its last checkpoint covers ${last.size} entries but only ${size} are there: the end was cut off`,
    );
  }
  const tree = rebuildTree(context, last.size);
  if (!tree.root().equals(root)) {
    throw corrupt(context, `entries 0 to ${last.size - 1} do not have the root hash that their checkpoint signed`);
  }
  const tail = followTail(context, tree, size);
  return { tree, ...tail, signedSize: last.size, checkpoint: last.note.toString('utf8') };
}

/** The root hash that the checkpoint signed. */
function verifyCheckpoint(
  context: Context,
  row: { size: number; note: Buffer },
  origin: string,
  verifier: NoteVerifier,
): Buffer {
  const where = `the checkpoint of size ${row.size}`;
  try {
    const note = parseNote(row.note);
    if (!note.signatures.some(({ name, id }) => name === verifier.name && id === verifier.id)) {
      throw new SealgateError(
        'LEDGER_WRONG_KEY',
        `${context.path} is signed by ${note.signatures.map(keyLabel).join(', ')} (log ${parseCheckpoint(note.text).origin}), not by ${keyLabel(verifier)}: use the key and the log name that it was written with, or another folder`,
      );
    }
    const opened = openCheckpoint(row.note, { verifiers: [verifier], origin });
    if (opened.size !== row.size) throw corrupt(context, `${where} is in fact one of size ${opened.size}`);
    return Buffer.from(opened.root);
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    throw corrupt(context, `${where}: ${messageOf(error)}`, error);
  }
}

/** The tree of the first `size` leaves, from the subtree rows at its right edge and at most 255 leaves. */
function rebuildTree(context: Context, size: number): CompactRange {
  const rows = context.db.prepare<[number, number, number], { idx: number; hash: Buffer }>(
    'SELECT idx, hash FROM subtree WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx',
  );
  const leaves = context.db
    .prepare<[number, number], Buffer>('SELECT leaf FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq')
    .pluck();
  const hashes = subtreesOf(0, size).map(({ level, index }) => {
    // A subtree between two stored levels is the root over its parts of the level below.
    const stored = Math.floor(level / SUBTREE_LEVELS);
    const width = 2 ** (level - stored * SUBTREE_LEVELS);
    const from = index * width;
    const parts =
      stored === 0
        ? leaves.all(from, from + width).map(leafHash)
        : rows.all(stored, from, from + width).map(({ hash }) => hash);
    if (parts.length !== width || parts.some((part) => part.length !== 32)) {
      const what =
        stored === 0
          ? `leaves ${from} to ${from + width - 1}`
          : `level ${stored}, ${from} to ${from + width - 1}, of the table subtree`;
      throw corrupt(context, `${what} are not all there`);
    }
    const part = new CompactRange();
    for (const hash of parts) part.append(hash);
    return part.root();
  });
  return CompactRange.fromHashes(size, hashes);
}

/** Follows the entries behind the last checkpoint, which nothing signed: chain, subtree rows and bodies. Extends `tree`. */
function followTail(
  context: Context,
  tree: CompactRange,
  size: number,
): { prev: string; lastKind: EntryKind | undefined } {
  const { db } = context;
  const readLeaf = db.prepare<[number], Buffer>('SELECT leaf FROM leaf WHERE seq = ?').pluck();
  const readSubtree = db
    .prepare<[number, number], Buffer>('SELECT hash FROM subtree WHERE level = ? AND idx = ?')
    .pluck();
  let prev = NO_PREVIOUS;
  let lastKind: EntryKind | undefined;
  const tail: Leaf[] = [];
  const begin = tree.size;
  for (let seq = Math.max(0, begin - 1); seq < size; seq++) {
    const bytes = readLeaf.get(seq);
    if (bytes === undefined) throw corrupt(context, `entry ${seq} is missing`);
    const leaf = inContext(context, `entry ${seq}`, () => parseLeaf(bytes));
    if (leaf.seq !== seq) throw corrupt(context, `entry ${seq} says that it is entry ${leaf.seq}`);
    const hash = leafHash(bytes);
    if (seq >= begin) {
      if (leaf.prev !== prev)
        throw corrupt(context, `entry ${seq} does not follow entry ${seq - 1}: its prev is another hash`);
      tail.push(leaf);
      tree.append(hash, (level, index, node) => {
        if (level % SUBTREE_LEVELS !== 0) return;
        const stored = readSubtree.get(level / SUBTREE_LEVELS, index);
        if (stored?.equals(node) !== true) {
          throw corrupt(
            context,
            `level ${level / SUBTREE_LEVELS}, ${index}, of the table subtree is not the hash of its leaves`,
          );
        }
      });
    }
    prev = hash.toString('hex');
    lastKind = leaf.kind;
  }
  const complete = db
    .prepare<[], number>('SELECT coalesce(max(idx) + 1, 0) FROM subtree WHERE level = 1')
    .pluck()
    .get();
  if (complete !== Math.floor(size / SUBTREE_LEAVES)) {
    throw corrupt(context, `the table subtree does not cover its ${size} entries`);
  }
  checkBodies(context, tail, size);
  return { prev, lastKind };
}

/** The packs end where the leaves end, and those of the tail hold the bodies that its leaves commit to. */
function checkBodies(context: Context, tail: readonly Leaf[], size: number): void {
  const begin = size - tail.length;
  const packs = context.db
    .prepare<[number], { first: number; count: number; codec: number; data: Buffer; sum: Buffer }>(
      'SELECT first, count, codec, data, sum FROM pack WHERE first >= (SELECT max(first) FROM pack WHERE first <= ?) ORDER BY first',
    )
    .iterate(Math.min(begin, size - 1));
  let next: number | undefined;
  for (const { first, count, codec, data, sum } of packs) {
    if (next !== undefined && first !== next) throw corrupt(context, `the bodies of entries from ${next} are missing`);
    next = first + count;
    const own = tail.slice(Math.max(0, first - begin), Math.max(0, next - begin));
    if (own.length === 0) continue;
    // A pack of one may be larger than the limit; how large, its leaf says.
    const limit = Math.max(MAX_PACK_BYTES, RECORD_HEADER_BYTES + (own[0]?.size ?? 0));
    const bodies = inContext(context, `the bodies of entries ${first} to ${next - 1}`, () =>
      decodePack(codec, data, count, limit),
    );
    for (const leaf of own) {
      const body = bodies[leaf.seq - first];
      if (body === undefined || body.body.length !== leaf.size || commitment(body.salt, body.body) !== leaf.body) {
        throw corrupt(context, `the body of entry ${leaf.seq} is not the one that its leaf commits to`);
      }
    }
    if (!packSum(first, { count, codec, data }).equals(sum)) {
      throw corrupt(context, `the checksum of the pack with the bodies of entries ${first} to ${next - 1} is another`);
    }
  }
  if (next !== size) throw corrupt(context, `it has ${size} leaves but bodies up to ${next ?? 0}`);
}

function inContext<T>(context: Context, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw corrupt(context, `${what}: ${messageOf(error)}`, error);
  }
}

function corrupt({ path }: Context, what: string, cause?: unknown): SealgateError {
  return new SealgateError(
    'LEDGER_CORRUPT',
    `${path}: ${what}; nothing was changed, run sealgate verify to see what is whole`,
    {
      cause,
    },
  );
}
