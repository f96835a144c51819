// A consistent copy of a ledger, live or not: each shard as it is at one instant, durable when it is done.
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { fsyncPath, listShards, newShardPath, shardFileName } from './files.ts';
import { assertSchema } from './schema.ts';
import { isSealed } from './seal.ts';
import { needsCopy, openShardCopy } from './shard-copy.ts';
import { openError } from './sqlite-errors.ts';

/** Pages between two calls of onProgress. */
const STEP_PAGES = 4096;

export interface CopyOptions {
  /** Pages of the shard so far, and in all. */
  readonly onProgress?: (progress: { shard: number; done: number; total: number }) => void;
}

export interface CopiedShard {
  readonly shard: number;
  /** Entries in the copy. */
  readonly entries: number;
}

/**
 * Copies the ledger folder `from` into `to`, which is created or empty. The newest shard is cut at the last commit before
 * its copy began. A writer goes on meanwhile; its WAL grows until the newest shard is copied, or
 * the writer has enough of that and begins the next one, which is not part of the copy then. On failure what was copied is
 * removed again. Rejects with LEDGER_NOT_FOUND, EXPORT_FAILED and what opening a shard throws.
 */
export async function copyLedger(from: string, to: string, options: CopyOptions = {}): Promise<CopiedShard[]> {
  const shards = listShards(from);
  if (shards.length === 0) throw new SealgateError('LEDGER_NOT_FOUND', `${from} holds no ledger`);
  prepareTarget(to);
  const copied: CopiedShard[] = [];
  try {
    for (const { number, path } of shards) {
      const target = join(to, shardFileName(number));
      const entries = await copyShard(path, newShardPath(target), (done, total) =>
        options.onProgress?.({ shard: number, done, total }),
      );
      if (isSealed(path)) chmodSync(newShardPath(target), 0o440);
      renameSync(newShardPath(target), target);
      copied.push({ shard: number, entries });
    }
    fsyncPath(to);
    fsyncPath(dirname(resolve(to)));
    return copied;
  } catch (error) {
    for (const name of readdirSync(to)) if (name.startsWith('shard-')) rmSync(join(to, name));
    throw error;
  }
}

function prepareTarget(to: string): void {
  let names: string[];
  try {
    mkdirSync(to, { recursive: true, mode: 0o700 });
    names = readdirSync(to);
  } catch (error) {
    throw notThere(to, error);
  }
  if (names.length > 0) {
    throw new SealgateError('EXPORT_FAILED', `${to} is not empty: a copy is made into a new or an empty folder`);
  }
}

function notThere(to: string, cause: unknown): SealgateError {
  return new SealgateError('EXPORT_FAILED', `${to} cannot be written: ${messageOf(cause)}`, { cause });
}

/** Returns the number of entries. */
async function copyShard(
  path: string,
  draft: string,
  onProgress: (done: number, total: number) => void,
): Promise<number> {
  let opened: Opened | undefined;
  try {
    opened = openShard(path);
    const { db } = opened;
    // The transaction holds one snapshot for all steps: without it, a commit in between makes the copy begin anew.
    db.exec('BEGIN');
    const entries = db.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM leaf').pluck().get() ?? 0;
    await db.backup(draft, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress(totalPages - remainingPages, totalPages);
        return STEP_PAGES;
      },
    });
    fsyncPath(draft);
    return entries;
  } catch (error) {
    throw openError(error, path);
  } finally {
    opened?.db.close();
    if (opened?.folder !== undefined) rmSync(opened.folder, { recursive: true, force: true });
  }
}

interface Opened {
  readonly db: Database.Database;
  /** The temporary folder of a copy of the files, where the shard cannot be read in its place. */
  readonly folder?: string;
}

function openShard(path: string): Opened {
  try {
    return checked({ db: new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 }) }, path);
  } catch (error) {
    if (!needsCopy(error) || !existsSync(path)) throw error;
  }
  return checked(openShardCopy(path), path);
}

function checked(opened: Opened, path: string): Opened {
  try {
    assertSchema(opened.db, path);
    return opened;
  } catch (error) {
    opened.db.close();
    if (opened.folder !== undefined) rmSync(opened.folder, { recursive: true, force: true });
    throw error;
  }
}
