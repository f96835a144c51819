// Sealing: a full shard leaves WAL mode, so that one file holds all of it, and loses its write permission.
import { chmodSync, existsSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { openError, outcomeOf } from './sqlite-errors.ts';

const SEALED_MODE = 0o440;
const OPEN_MODE = 0o640;
const WRITE_BITS = 0o222;
/** How long sealing waits for readers at first; one that stays connected puts it off. */
const BUSY_MS = 500;

/** Whether a shard was sealed: cheap, and no more than a mark, because modes do not survive every copy. */
export function isSealed(path: string): boolean {
  return (statSync(path).mode & WRITE_BITS) === 0;
}

/**
 * Seals through this connection, which is closed in any case. Returns false, with nothing lost, when a reader or a lack of
 * space prevents it: such a shard is as whole as a sealed one, and sealing is tried again. Throws on any other failure.
 */
export function sealThrough(db: Database.Database, busyMs = BUSY_MS): boolean {
  const path = db.name;
  try {
    db.pragma(`busy_timeout = ${busyMs}`);
    // EXTRA also syncs the folder after the journal of the change of mode was removed: a power cut that brought it back would
    // leave a shard that cannot be read without writing to it.
    db.pragma('synchronous = EXTRA');
    db.pragma('fullfsync = 1');
    db.pragma('checkpoint_fullfsync = 1');
    db.pragma('wal_checkpoint(TRUNCATE)');
    if (db.pragma('journal_mode = DELETE', { simple: true }) !== 'delete') return false;
  } catch (error) {
    if (outcomeOf(error) === 'none') return false;
    throw error;
  } finally {
    db.close();
  }
  chmodSync(path, SEALED_MODE);
  return true;
}

/**
 * Takes back a change of mode that a crash interrupted: as long as its journal lies beside a shard, nobody can read the shard
 * without writing to it. Its entries are not touched. Such a shard counts as one that is still to be sealed.
 */
export function undoInterrupted(shards: readonly { readonly path: string }[]): void {
  for (const { path } of shards) {
    if (!existsSync(`${path}-journal`)) continue;
    if (isSealed(path)) chmodSync(path, OPEN_MODE);
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { fileMustExist: true });
      db.pragma('schema_version');
    } catch (error) {
      throw openError(error, path);
    } finally {
      db?.close();
    }
  }
}

/** Seals a shard that is no longer written to, without waiting for readers. Returns false as sealThrough does. */
export function sealFile(path: string): boolean {
  return isSealed(path) || sealThrough(new Database(path, { fileMustExist: true }), 0);
}

/** Seals those of the shards that a crash or a reader kept from it; returns those that a reader still does. */
export function sealOlder(shards: readonly { readonly path: string }[]): string[] {
  return shards.filter(({ path }) => !isSealed(path) && !sealFile(path)).map(({ path }) => path);
}
