// The index file: what its tables hold, and how it is opened. It is derived from the ledger and may be deleted at any time.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { uptime } from 'node:os';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { messageOf } from '../lib/errors.ts';

/** Raised with every change of the schema or of what is derived: an index of another version is built anew. */
export const INDEX_VERSION = 1;

/** `SGIX`: keeps the index from being taken for something else, and something else for an index. */
const APPLICATION_ID = 0x53474958;

/** Entries that share one Bloom filter and one pair of times: small enough to scan, large enough to skip much at once. */
export const BLOCK_ENTRIES = 1024;

/**
 * Times are stored as microseconds since this instant, which SQLite holds in six bytes until 2030 (and in eight after that).
 */
export const TIME_ZERO = Date.UTC(2026, 0, 1) * 1000;

// `pos` counts entries over all shards, so that one small integer orders them; `shard.base` is the pos of a shard's entry 0.
// Few values differ between entries of the same sort of request: those are one row of `facet`. Texts that repeat are in `term`
// (0 is the empty text). Names and ids hardly repeat: they stand in the row. Instead of a B-tree for each column there are
// `block` and `bloom`: both say which thousand entries cannot match.
const SCHEMA = `
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE shard (number INTEGER PRIMARY KEY, base INTEGER NOT NULL, origin TEXT NOT NULL, indexed INTEGER NOT NULL, last_hash TEXT NOT NULL) STRICT;
CREATE TABLE term  (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE facet (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, allowed INTEGER, dry_run INTEGER NOT NULL, verb TEXT NOT NULL, api_group TEXT NOT NULL,
  resource TEXT NOT NULL, subresource TEXT NOT NULL, code INTEGER, stage TEXT NOT NULL, policies TEXT NOT NULL, key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE entry (
  pos INTEGER PRIMARY KEY, time INTEGER NOT NULL, facet INTEGER NOT NULL, user INTEGER NOT NULL, impersonator INTEGER NOT NULL,
  namespace INTEGER NOT NULL, name TEXT NOT NULL, id ANY
) STRICT;
CREATE TABLE link (
  event INTEGER NOT NULL, n INTEGER NOT NULL, state INTEGER NOT NULL, decision INTEGER, claim TEXT, PRIMARY KEY (event, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_decision ON link (decision) WHERE decision IS NOT NULL;
CREATE INDEX link_elsewhere ON link (substr(claim, 3, 36)) WHERE state = 3;
CREATE TABLE block (id INTEGER PRIMARY KEY, min_time INTEGER NOT NULL, max_time INTEGER NOT NULL) STRICT;
CREATE TABLE bloom (block INTEGER PRIMARY KEY, bits BLOB NOT NULL) STRICT;
`;

/** Tables and indexes of the schema. */
const PARTS = [...SCHEMA.matchAll(/^CREATE (?:TABLE|INDEX) (\w+)/gm)].map(([, name]) => name);

/** What an event's claim about a decision came to; the numbers are in the file. */
export const LINK_STATES = ['verified', 'mismatch', 'missing', 'elsewhere'] as const;

export type LinkState = (typeof LINK_STATES)[number];

/**
 * Opens the index for its one writer. A file that is damaged, of another version or no index at all is replaced by an empty
 * index, and `onReplaced` hears why.
 */
export function openIndexForWriting(file: string, onReplaced: (reason: string) => void): Database.Database {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) return createIndex(file);
  let db: Database.Database | undefined;
  try {
    db = new Database(file);
    const reason = unusable(db) ?? lostInPowerCut(db);
    if (reason === undefined) {
      configure(db);
      markOpen(db);
      return db;
    }
    onReplaced(reason);
  } catch (error) {
    onReplaced(`it cannot be read: ${messageOf(error)}`);
  }
  db?.close();
  return createIndex(file);
}

/** Closes the index so that the next start can trust it whatever happens to the machine in between. */
export function closeIndex(db: Database.Database): void {
  db.pragma('synchronous = FULL');
  db.prepare("INSERT OR REPLACE INTO state VALUES ('boot', 'closed')").run();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/** Deletes what is there and creates an empty index. */
export function createIndex(file: string): Database.Database {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${file}${suffix}`, { force: true });
  const db = new Database(file);
  configure(db);
  db.transaction(() => {
    db.exec(SCHEMA);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${INDEX_VERSION}`);
  })();
  markOpen(db);
  return db;
}

/** Opens an index for queries. Throws when there is none, or it is not one that this release can read. */
export function openIndexForReading(file: string): Database.Database {
  const db = new Database(file, { readonly: true, fileMustExist: true });
  const reason = unusable(db);
  if (reason === undefined) return db;
  db.close();
  throw new Error(`${file}: ${reason}`);
}

/** Why this database is not an index of this version, or undefined when it is; a new, empty database has a reason too. */
function unusable(db: Database.Database): string | undefined {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) return 'it is not an index';
  const version = db.pragma('user_version', { simple: true });
  if (version !== INDEX_VERSION) return `it has version ${String(version)}, this release uses ${INDEX_VERSION}`;
  const found = new Set(db.prepare('SELECT name FROM sqlite_schema').pluck().all());
  const lacking = PARTS.find((name) => !found.has(name));
  return lacking === undefined ? undefined : `it lacks ${lacking}`;
}

/**
 * Nothing of the index is synced while it is written, so that no fsync of it holds up one of the ledger's. A process that dies
 * loses nothing by that, but a machine that goes down may leave pages of different ages: then the kernel's boot id has changed.
 */
function lostInPowerCut(db: Database.Database): string | undefined {
  const boot = db.prepare("SELECT value FROM state WHERE key = 'boot'").pluck().get();
  return boot === 'closed' || boot === bootId() ? undefined : 'the machine went down while it was written';
}

function markOpen(db: Database.Database): void {
  db.prepare("INSERT OR REPLACE INTO state VALUES ('boot', ?)").run(bootId());
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: the second at which the machine started, which is as good for this.
    return `up since ${Math.round(Date.now() / 1000 - uptime())}`;
  }
}

function configure(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -8192');
  // Half of SQLite's default: the WAL counts on the disk, and nothing waits for these checkpoints.
  db.pragma('wal_autocheckpoint = 500');
  db.pragma('journal_size_limit = 4194304');
}

/** Whether SQLite says that the index's own file is damaged (the ledger's reader throws SealgateErrors). */
export function isDamage(error: unknown): error is Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_CONSTRAINT'].some((damage) => code.startsWith(damage));
}
