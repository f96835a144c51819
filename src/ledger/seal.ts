// Sealing: a full shard leaves WAL mode, so that one file holds all of it, and loses its write permission.
import { chmodSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { outcomeOf } from './sqlite-errors.ts';

const SEALED_MODE = 0o440;
const WRITE_BITS = 0o222;
/** How long sealing waits for readers; one that stays connected puts it off to the next start. */
const BUSY_MS = 500;

/** Whether a shard was sealed: cheap, and no more than a mark, because modes do not survive every copy. */
export function isSealed(path: string): boolean {
  return (statSync(path).mode & WRITE_BITS) === 0;
}

/**
 * Seals through this connection, which is closed in any case. Returns false, with nothing lost, when a reader or a lack of
 * space prevents it: such a shard is as whole as a sealed one, and the next start tries again. Throws on any other failure.
 */
export function sealThrough(db: Database.Database): boolean {
  const path = db.name;
  try {
    db.pragma(`busy_timeout = ${BUSY_MS}`);
    db.pragma('synchronous = FULL');
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

/** Seals those of the shards that a crash or a reader kept from it. They are no longer written to. */
export function sealOlder(shards: readonly { readonly path: string }[]): void {
  for (const { path } of shards) {
    if (!isSealed(path)) sealThrough(new Database(path, { fileMustExist: true }));
  }
}
