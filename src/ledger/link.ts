// What ties a shard to the one before it: its first entry carries the final checkpoint of its predecessor.
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { Append } from './entry.ts';
import { leafHashHex, parseLeaf } from './leaf.ts';
import { decodePack, MAX_PACK_BYTES } from './pack.ts';
import { openError } from './sqlite-errors.ts';

/** The end of a sealed shard; the body of a `link` entry carries it under the same names. */
export interface ShardEnd {
  readonly shard: number;
  /** Number of entries; the final checkpoint covers them all. */
  readonly size: number;
  /** Leaf hash of the last entry, lowercase hex. */
  readonly last: string;
  /** The final checkpoint, a signed note. */
  readonly checkpoint: string;
}

/**
 * Why a shard does not continue the one that is in the folder before it: the history here is not the one that is known elsewhere. The
 * body of the `link` carries it as `found`.
 */
export interface LedgerBreak {
  readonly reason: 'lost' | 'rolled-back' | 'forked';
  /** For people. */
  readonly why: string;
  /** The newest history of the log that is known, which the new shard links to. */
  readonly previous: { readonly shard: number; readonly size: number; readonly checkpoint: string };
  /** The newest shard in the folder and its entries, where there is one. */
  readonly local: { readonly shard: number; readonly size: number } | undefined;
}

/** Entry 0 of a shard that begins after a break. */
export function breakEntry(origin: string, vkey: string, version: string, broken: LedgerBreak): Append {
  const { previous, reason, why, local } = broken;
  const found = { reason, why, ...(local === undefined ? {} : { local }) };
  const body = { origin, vkey, version, previous, found };
  return { kind: 'link', body: Buffer.from(JSON.stringify(body), 'utf8') };
}

/** Entry 0 of every shard but the first of a log. `rotation` is the statement of both keys when the shard begins under a new one. */
export function linkEntry(
  origin: string,
  vkey: string,
  version: string,
  previous: ShardEnd,
  rotation: string | undefined,
): Append {
  const body = { origin, vkey, version, previous, ...(rotation === undefined ? {} : { rotation }) };
  return { kind: 'link', body: Buffer.from(JSON.stringify(body), 'utf8') };
}

export interface ShardFile {
  readonly number: number;
  readonly path: string;
}

/**
 * Holds the newest shard against the one before it, which is all that a start looks at of older shards, and the oldest against the
 * entry that says what was removed before it. Throws LEDGER_CORRUPT naming the shard when a number is missing, when the newest does not begin with a link, or when its predecessor does not end
 * where the link says. `shards` are those of the folder, lowest number first.
 */
export function checkNewestLink(
  dir: string,
  shards: readonly ShardFile[],
  /** Whether an entry says that what was before the oldest shard, whose link this is, was removed. */
  removed: (link: ShardEnd | undefined) => boolean,
): void {
  const [oldest] = shards;
  let expected = 0;
  if (oldest !== undefined && oldest.number > 0 && removed(readShard(oldest.path, readLink))) expected = oldest.number;
  for (const { number, path } of shards) {
    if (number !== expected && !beginsAfterBreak(path)) {
      throw new SealgateError(
        'LEDGER_CORRUPT',
        `${dir}: shard ${expected} is missing, though shard ${number} is there: put it back, or run sealgate verify to see what is left`,
      );
    }
    expected = number + 1;
  }
  const newest = shards.at(-1);
  const before = shards.at(-2);
  if (newest === undefined || before === undefined || beginsAfterBreak(newest.path)) return;
  checkLinked(newest, before);
}

/**
 * Throws LEDGER_MIXED when the shard `before` is another ledger's, LEDGER_CORRUPT when `newest` does not begin with a link to it, or it
 * does not end as the link says.
 */
export function checkLinked(newest: ShardFile, before: ShardFile): ShardEnd {
  const link = readShard(newest.path, readLink);
  if (link === undefined || link.shard !== before.number) {
    throw new SealgateError(
      'LEDGER_CORRUPT',
      `${newest.path} does not begin with a link to shard ${before.number}: it is not of this ledger, or was changed; run sealgate verify`,
    );
  }
  const end = readShard(before.path, readEnd);
  const [theirs, ours] = [end?.checkpoint, link.checkpoint].map((note) => note?.split('\n', 1)[0]);
  const logOf = (origin = '') => origin.replace(/\/\d+$/, '');
  if (theirs !== undefined && logOf(theirs) !== logOf(ours)) {
    throw new SealgateError(
      'LEDGER_MIXED',
      `${before.path} is ${theirs}, of another ledger than ${newest.path}, which continues ${ours}: keep the shards of one ledger in one folder, and put the right one back`,
    );
  }
  if (
    end === undefined ||
    end.size !== link.size ||
    end.last !== link.last ||
    end.signed !== link.size ||
    end.checkpoint !== link.checkpoint
  ) {
    throw new SealgateError(
      'LEDGER_CORRUPT',
      `shard ${before.number} (${before.path}) does not end where shard ${newest.number} says that it ended, with ${link.size} entries: it was replaced, changed, or an older copy was put back; run sealgate verify`,
    );
  }
  return link;
}

/** Reads a shard that may be written meanwhile. Throws as opening does. */
export function readShard<T>(path: string, read: (db: Database.Database) => T): T {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
    return read(db);
  } catch (error) {
    throw openError(error, path);
  } finally {
    db?.close();
  }
}

/** The link that entry 0 carries; undefined when it carries none. */
function readLink(db: Database.Database): ShardEnd | undefined {
  return parseLink(readLinkBody(db));
}

/** Whether the shard in this file begins after a break: what is before it in the folder is not what it continues. Throws as opening does. */
export function beginsAfterBreak(path: string): boolean {
  return readShard(path, followsBreak);
}

function followsBreak(db: Database.Database): boolean {
  const body = readLinkBody(db);
  return typeof body === 'object' && body !== null && 'found' in body;
}

/** The body of a link; undefined when entry 0 is none. */
function readLinkBody(db: Database.Database): unknown {
  const leaf = db.prepare<[], Buffer>('SELECT leaf FROM leaf WHERE seq = 0').pluck().get();
  const pack = db
    .prepare<[], { count: number; codec: number; data: Buffer }>('SELECT count, codec, data FROM pack WHERE first = 0')
    .get();
  if (leaf === undefined || pack === undefined) return undefined;
  try {
    if (parseLeaf(leaf).kind !== 'link') return undefined;
    const [first] = decodePack(pack.codec, pack.data, pack.count, MAX_PACK_BYTES);
    return JSON.parse(first?.body.toString('utf8') ?? '');
  } catch (error) {
    throw unreadable(db.name, error);
  }
}

function unreadable(path: string, cause: unknown): SealgateError {
  return new SealgateError('LEDGER_CORRUPT', `${path}, entry 0: ${messageOf(cause)}; run sealgate verify`, { cause });
}

function parseLink(body: unknown): ShardEnd | undefined {
  return typeof body === 'object' && body !== null && 'previous' in body ? parseShardEnd(body.previous) : undefined;
}

/** The end of a shard as bodies have it; undefined when the value is none. */
export function parseShardEnd(value: unknown): ShardEnd | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { shard, size, last, checkpoint } = value as Record<string, unknown>;
  if (typeof shard !== 'number' || typeof size !== 'number') return undefined;
  if (typeof last !== 'string' || typeof checkpoint !== 'string') return undefined;
  return { shard, size, last, checkpoint };
}

interface FoundEnd {
  readonly size: number;
  readonly last: string;
  readonly signed: number;
  readonly checkpoint: string;
}

function readEnd(db: Database.Database): FoundEnd | undefined {
  const last = db
    .prepare<[], { seq: number; leaf: Buffer }>('SELECT seq, leaf FROM leaf ORDER BY seq DESC LIMIT 1')
    .get();
  const signed = db
    .prepare<[], { size: number; note: Buffer }>('SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1')
    .get();
  if (last === undefined || signed === undefined) return undefined;
  return {
    size: last.seq + 1,
    last: leafHashHex(last.leaf),
    signed: signed.size,
    checkpoint: signed.note.toString('utf8'),
  };
}
