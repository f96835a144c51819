// What says that the oldest shards were removed: an entry of a later shard, and a file that says where it is, because a start
// does not read everything. The file is only a pointer: without it the entry is searched for.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import type { Append } from './entry.ts';
import { fsyncPath } from './files.ts';
import { parseLeaf } from './leaf.ts';
import { parseShardEnd, readShard, type ShardEnd, type ShardFile } from './link.ts';
import { decodePack, MAX_PACK_BYTES } from './pack.ts';

const POINTER = 'removed';

/** Where a copy of all that is removed stays. */
export interface KeptCopy {
  /** URL without secrets: `s3://bucket/prefix`, `file:///folder`. */
  readonly store: string;
  /** When it was last read back and verified, RFC 3339. */
  readonly verified: string;
}

/** The entry that is recorded before shard `removed.shard` goes. */
export function removalEntry(removed: ShardEnd, copy?: KeptCopy): Append {
  return { kind: 'removal', body: Buffer.from(JSON.stringify({ removed, copy }), 'utf8') };
}

/** Writes, durably, where the newest `removal` entry is. */
export function pointToRemoval(dir: string, { shard, seq }: { readonly shard: number; readonly seq: number }): void {
  const path = join(dir, POINTER);
  writeFileSync(`${path}.new`, `${shard}/${seq}\n`, { mode: 0o640 });
  fsyncPath(`${path}.new`);
  renameSync(`${path}.new`, path);
  fsyncPath(dir);
}

/**
 * Where what is before the oldest shard of the folder is kept, as the newest `removal` entry says; undefined when none does. Follows
 * the pointer only: without it, nothing is searched.
 */
export function readKeptCopy(dir: string, shards: readonly ShardFile[]): KeptCopy | undefined {
  const copy = pointed(dir, shards, (db, seq) => readRemoval(db, seq)?.copy);
  if (typeof copy !== 'object' || copy === null || !('store' in copy) || !('verified' in copy)) return undefined;
  const { store, verified } = copy;
  return typeof store === 'string' && typeof verified === 'string' ? { store, verified } : undefined;
}

/**
 * Whether an entry says that everything before the oldest of these shards was removed. `link` is the end of the shard before
 * it, as its own first entry has it: where the entry is about that one, the two have to be the same.
 */
export function checkRemoved(dir: string, shards: readonly ShardFile[], link: ShardEnd | undefined): boolean {
  const oldest = shards[0]?.number ?? 0;
  const removed = pointedAt(dir, shards) ?? searched(shards);
  if (removed === undefined || removed.shard < oldest - 1) return false;
  return removed.shard > oldest - 1 || (link !== undefined && sameEnd(removed, link));
}

function sameEnd(one: ShardEnd, other: ShardEnd): boolean {
  const { shard, size, last, checkpoint } = one;
  return shard === other.shard && size === other.size && last === other.last && checkpoint === other.checkpoint;
}

function pointedAt(dir: string, shards: readonly ShardFile[]): ShardEnd | undefined {
  return pointed(dir, shards, removalAt);
}

function pointed<T>(
  dir: string,
  shards: readonly ShardFile[],
  read: (db: Database.Database, seq: number) => T | undefined,
): T | undefined {
  let text: string;
  try {
    text = readFileSync(join(dir, POINTER), 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const [, shard, seq] = /^(\d{1,15})\/(\d{1,15})\n$/.exec(text) ?? [];
  const file = shards.find(({ number }) => number === Number(shard));
  return file === undefined ? undefined : readShard(file.path, (db) => read(db, Number(seq)));
}

/** The newest in the newest shard that has one: after the folder was copied, or the pointer was lost. Reads all leaves. */
function searched(shards: readonly ShardFile[]): ShardEnd | undefined {
  for (const { path } of shards.toReversed()) {
    const found = readShard(path, (db) => {
      const last = `SELECT max(seq) FROM leaf WHERE instr(leaf, CAST('"kind":"removal"' AS BLOB)) > 0`;
      const seq = db.prepare<[], number | null>(last).pluck().get();
      return typeof seq === 'number' ? removalAt(db, seq) : undefined;
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

function removalAt(db: Database.Database, seq: number): ShardEnd | undefined {
  return parseShardEnd(readRemoval(db, seq)?.removed);
}

/** What the entry says, when it is one and a checkpoint covers it: what nothing signed, anybody may have written. */
function readRemoval(db: Database.Database, seq: number): { removed?: unknown; copy?: unknown } | undefined {
  const leaf = db.prepare<[number], Buffer>('SELECT leaf FROM leaf WHERE seq = ?').pluck().get(seq);
  const signed = db.prepare<[], number | null>('SELECT max(size) FROM checkpoint').pluck().get() ?? 0;
  const pack = db
    .prepare<[number], { first: number; count: number; codec: number; data: Buffer }>(
      'SELECT first, count, codec, data FROM pack WHERE first <= ? ORDER BY first DESC LIMIT 1',
    )
    .get(seq);
  if (leaf === undefined || pack === undefined || seq >= signed) return undefined;
  if (parseLeaf(leaf).kind !== 'removal') return undefined;
  const body = decodePack(pack.codec, pack.data, pack.count, MAX_PACK_BYTES)[seq - pack.first]?.body;
  if (body === undefined) return undefined;
  const parsed: unknown = JSON.parse(body.toString('utf8'));
  return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
}
