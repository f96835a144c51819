// Opens a copy of a shard with its WAL: SQLite must create files beside a database in WAL mode, which a read-only folder forbids.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';

export interface ShardCopy {
  readonly db: Database.Database;
  /** The temporary folder of the copy, for whoever closes it to remove. */
  readonly folder: string;
}

/** How long a read waits while a lock is held, which happens only when a database is recovered or closed. */
const BUSY_MS = 5000;

/** Whether opening or first reading a database failed in a way that a copy of it would not. */
export function needsCopy(thrown: unknown): boolean {
  return thrown instanceof Database.SqliteError && /^SQLITE_(CANTOPEN|READONLY)/.test(thrown.code);
}

/** Throws what copying or opening failed with; nothing is left behind then. */
export function openShardCopy(file: string): ShardCopy {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sealgate-copy-'));
  try {
    const copy = path.join(folder, path.basename(file));
    for (const suffix of ['', '-wal', '-journal']) {
      if (suffix !== '' && !fs.existsSync(file + suffix)) continue;
      fs.copyFileSync(file + suffix, copy + suffix, fs.constants.COPYFILE_FICLONE);
      fs.chmodSync(copy + suffix, 0o600);
    }
    return { db: new Database(copy, { fileMustExist: true, timeout: BUSY_MS }), folder };
  } catch (thrown) {
    fs.rmSync(folder, { recursive: true, force: true });
    throw thrown;
  }
}
