// The schema of a shard and the settings of connections to it. The triggers are what makes it append-only: they refuse
// every change, and every insert that does not continue what is there (which covers INSERT OR REPLACE too).
import type Database from 'better-sqlite3';
import { SealgateError } from '../lib/errors.ts';
import { FORMAT_VERSION } from './entry.ts';

/** `SGLD` */
export const APPLICATION_ID = 0x53474c44;

const TABLES = [
  'CREATE TABLE meta       (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID',
  'CREATE TABLE leaf       (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT',
  'CREATE TABLE pack       (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, codec INTEGER NOT NULL, data BLOB NOT NULL, sum BLOB NOT NULL) STRICT',
  'CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT',
  'CREATE TABLE subtree    (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID',
];

const NEXT_LEAF = '(SELECT coalesce(max(seq) + 1, 0) FROM leaf)';
const NEXT_PACK = '(SELECT coalesce((SELECT first + count FROM pack ORDER BY first DESC LIMIT 1), 0))';

/** Table → the condition under which an insert appends. */
const APPENDS: Readonly<Record<string, string>> = {
  meta: 'NOT EXISTS (SELECT 1 FROM leaf) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = NEW.key)',
  leaf: `NEW.seq = ${NEXT_LEAF}`,
  pack: `NEW.first = ${NEXT_PACK} AND NEW.count BETWEEN 1 AND 256 AND NEW.first + NEW.count <= ${NEXT_LEAF} AND length(NEW.sum) = 32`,
  checkpoint: `NEW.size > (SELECT coalesce(max(size), 0) FROM checkpoint) AND NEW.size <= ${NEXT_LEAF}`,
  subtree:
    'NEW.level >= 1 AND NEW.idx = (SELECT coalesce(max(idx) + 1, 0) FROM subtree WHERE level = NEW.level) AND length(NEW.hash) = 32',
};

const TRIGGERS = Object.entries(APPENDS).flatMap(([table, condition]) => [
  `CREATE TRIGGER ${table}_insert BEFORE INSERT ON ${table} WHEN (${condition}) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'append-only: this does not continue ${table}'); END`,
  `CREATE TRIGGER ${table}_update BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only: ${table} cannot be updated'); END`,
  `CREATE TRIGGER ${table}_delete BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only: ${table} cannot be deleted from'); END`,
]);

/** The statements that make a shard's database, in order and to the letter: docs/ledger-format.md lists the same. */
export const SHARD_OBJECTS: readonly string[] = [...TABLES, ...TRIGGERS];

/** Names listed in a message before the rest is counted. */
const LISTED = 3;

/** Creates the tables and triggers in an empty database and marks it as a shard. */
export function createSchema(db: Database.Database): void {
  db.pragma(`application_id = ${APPLICATION_ID}`);
  db.pragma(`user_version = ${FORMAT_VERSION}`);
  for (const statement of SHARD_OBJECTS) db.exec(statement);
}

/**
 * Throws unless the database is a shard that this release understands: LEDGER_NOT_A_LEDGER, LEDGER_FORMAT_NEWER, or
 * LEDGER_CORRUPT when its tables or triggers are not the ones that were created.
 */
export function assertSchema(db: Database.Database, path: string): void {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new SealgateError(
      'LEDGER_NOT_A_LEDGER',
      `${path} is a SQLite database but not a ledger shard: move it elsewhere`,
    );
  }
  const version = db.pragma('user_version', { simple: true });
  if (typeof version !== 'number' || version > FORMAT_VERSION) {
    throw new SealgateError(
      'LEDGER_FORMAT_NEWER',
      `${path} has format ${version}; this release knows up to ${FORMAT_VERSION}: use the release that wrote it, or a newer one`,
    );
  }
  if (version !== FORMAT_VERSION)
    throw new SealgateError('LEDGER_NOT_A_LEDGER', `${path} has no ledger format ${version}`);
  // Only the statistics that ANALYZE leaves are passed over: whoever can write the file can give any object a name of SQLite's
  // own, and an index that says something else than its table would be read instead of it.
  const found = db
    .prepare<[], { name: string; sql: string | null }>(
      "SELECT name, sql FROM sqlite_schema WHERE NOT (type = 'table' AND name GLOB 'sqlite_stat[1-4]')",
    )
    .all();
  const expected = new Set(SHARD_OBJECTS);
  for (const { name, sql } of found) {
    if (sql === null || !expected.delete(sql)) {
      throw new SealgateError(
        'LEDGER_CORRUPT',
        `${path}: ${name} is not part of a shard, or was changed; run sealgate verify`,
      );
    }
  }
  if (expected.size > 0) {
    const missing = missingText([...expected].map((sql) => sql.split(/\s+/, 3)[2] ?? ''));
    throw new SealgateError('LEDGER_CORRUPT', `${path}: ${missing}: the shard was changed; run sealgate verify`);
  }
}

function missingText(names: readonly string[]): string {
  if (names.length === 1) return `${names[0]} is missing`;
  const listed = names.slice(0, LISTED);
  const more = names.length - listed.length;
  const last = more > 0 ? `${more} more` : listed.pop();
  return `${listed.join(', ')} and ${last} are missing`;
}

/**
 * Sets what the writer relies on, and asserts that SQLite took it: better-sqlite3's own default in WAL mode is
 * synchronous=NORMAL, which loses acknowledged entries at a power cut.
 */
export function configureWriter(db: Database.Database, journal: 'wal' | 'delete'): void {
  const wanted: readonly (readonly [name: string, set: string | number, get: string | number])[] = [
    ['journal_mode', journal, journal],
    ['synchronous', 'FULL', 2],
    ['fullfsync', 1, 1],
    ['checkpoint_fullfsync', 1, 1],
    ['wal_autocheckpoint', 0, 0],
    ['foreign_keys', 1, 1],
    ['recursive_triggers', 1, 1],
    ['trusted_schema', 0, 0],
    ['cell_size_check', 1, 1],
    ['writable_schema', 0, 0],
    ['locking_mode', 'normal', 'normal'],
    ['temp_store', 'MEMORY', 2],
    ['mmap_size', 0, 0],
  ];
  for (const [name, set, get] of wanted) {
    db.pragma(`${name} = ${set}`);
    const value = db.pragma(name, { simple: true });
    if (value !== get) {
      throw new SealgateError(
        'LEDGER_WRITE_FAILED',
        `SQLite did not accept ${name}=${set} for ${db.name} (it says ${value}): the ledger could not be kept as promised`,
      );
    }
  }
}
