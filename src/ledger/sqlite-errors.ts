// What SQLite's result codes mean to a ledger.
import Database from 'better-sqlite3';
import { messageOf, SealgateError } from '../lib/errors.ts';

/** Below this a file cannot even hold SQLite's smallest page. */
export const SMALLEST_DATABASE_BYTES = 512;

/** SQLite's extended result code, for example SQLITE_IOERR_FSYNC, or undefined when the error is not SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined;
}

/**
 * What a failed transaction left behind: `none` when it certainly wrote nothing that lasts and writing may go on;
 * `unknown` when it may or may not be on disk, or SQLite's own picture of the file may be wrong.
 */
export function outcomeOf(error: unknown): 'none' | 'unknown' {
  const code = sqliteCode(error);
  // No space: SQLite has rolled back; a commit record that reached the WAL is overwritten by the next one.
  // SQLITE_BUSY: somebody else held the write lock, nothing was begun.
  return isNoSpace(error) || code?.startsWith('SQLITE_BUSY') ? 'none' : 'unknown';
}

/**
 * Whether there was no space: SQLITE_FULL in the database or the WAL, SQLITE_IOERR_SHMSIZE in the index of the WAL, which is in
 * memory only for all that lasts.
 */
export function isNoSpace(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE';
}

/** A failure to open or read a shard as an error of ours. */
export function openError(error: unknown, path: string): SealgateError {
  if (error instanceof SealgateError) return error;
  const code = sqliteCode(error) ?? '';
  const detail = `${code === '' ? '' : `${code}: `}${messageOf(error)}`;
  const fail = (...[ours, text]: ConstructorParameters<typeof SealgateError>): SealgateError =>
    new SealgateError(ours, `${text} (${detail})`, { cause: error });
  if (code === 'SQLITE_NOTADB') {
    return fail(
      'LEDGER_NOT_A_LEDGER',
      `${path} is not a ledger shard: move it elsewhere, or run sealgate verify if it was one`,
    );
  }
  if (/^SQLITE_(CORRUPT|IOERR_SHORT_READ|IOERR_CORRUPTFS|SCHEMA|FORMAT)/.test(code)) {
    return fail('LEDGER_CORRUPT', `${path} is truncated or damaged: run sealgate verify to see what is left`);
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/.test(code)) {
    return fail(
      'LEDGER_READ_ONLY',
      `${path} cannot be opened for writing: check the owner and mode of the folder and that its volume is not mounted read-only`,
    );
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return fail('LEDGER_LOCKED', `another process holds ${path}: stop it, then start again`);
  }
  if (isNoSpace(error)) return fail('LEDGER_WRITE_FAILED', `no space is left for ${path}: make room on its volume`);
  return fail('LEDGER_WRITE_FAILED', `${path} could not be read or written`);
}
