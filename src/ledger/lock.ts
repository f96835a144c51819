// The lock that keeps a second writer out: an exclusive SQLite transaction on a file of its own, which the kernel ends
// with the process, whatever killed it (docs/decisions/0001-sqlite-lock.md). Nothing may open or copy this file through
// fs in the same process: closing any descriptor of it would drop the lock.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { sqliteCode } from './sqlite-errors.ts';

const LOCK_FILE = 'writer.lock';

export interface WriterLock {
  readonly path: string;
  release(): void;
}

/** Takes the lock of a ledger folder. Throws LEDGER_LOCKED, LEDGER_READ_ONLY, LEDGER_CORRUPT. */
export function acquireLock(dir: string): WriterLock {
  const path = join(dir, LOCK_FILE);
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 0 });
    // An exclusive lock on an empty database opens a journal; one page of content saves that file.
    if (db.pragma('user_version', { simple: true }) !== 1) db.pragma('user_version = 1');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    throw lockError(error, dir, path);
  }
  const held = db;
  return { path, release: () => held.close() };
}

function lockError(error: unknown, dir: string, path: string): SealgateError {
  const code = sqliteCode(error) ?? '';
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new SealgateError(
      'LEDGER_LOCKED',
      `another process is writing the ledger in ${dir}: stop it first, or give this one a folder of its own (fuser ${path} shows which it is)`,
      { cause: error },
    );
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code)) {
    return new SealgateError(
      'LEDGER_READ_ONLY',
      `${path} cannot be written: check the owner and mode of ${dir} and that its volume is not mounted read-only (${code})`,
      { cause: error },
    );
  }
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new SealgateError(
      'LEDGER_CORRUPT',
      `${path} is damaged; it holds nothing, remove it and start again (${code})`,
      {
        cause: error,
      },
    );
  }
  return new SealgateError('LEDGER_WRITE_FAILED', `${path} could not be locked: ${messageOf(error)}`, { cause: error });
}
