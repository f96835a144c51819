// docs/ledger-format.md, "Database": the tables and triggers that a shard has, to the letter, and what differs from them.
import type { DatabaseSync } from 'node:sqlite';

const TABLES: Record<string, string> = {
  meta: 'CREATE TABLE meta       (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID',
  leaf: 'CREATE TABLE leaf       (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT',
  pack: 'CREATE TABLE pack       (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, codec INTEGER NOT NULL, data BLOB NOT NULL, sum BLOB NOT NULL) STRICT',
  checkpoint: 'CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT',
  subtree:
    'CREATE TABLE subtree    (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID',
};

const LEAVES = '(SELECT coalesce(max(seq) + 1, 0) FROM leaf)';

/** What an insert has to be. */
const CONDITIONS: Record<string, string> = {
  meta: 'NOT EXISTS (SELECT 1 FROM leaf) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = NEW.key)',
  leaf: `NEW.seq = ${LEAVES}`,
  pack: `NEW.first = (SELECT coalesce((SELECT first + count FROM pack ORDER BY first DESC LIMIT 1), 0)) AND NEW.count BETWEEN 1 AND 256 AND NEW.first + NEW.count <= ${LEAVES} AND length(NEW.sum) = 32`,
  checkpoint: `NEW.size > (SELECT coalesce(max(size), 0) FROM checkpoint) AND NEW.size <= ${LEAVES}`,
  subtree:
    'NEW.level >= 1 AND NEW.idx = (SELECT coalesce(max(idx) + 1, 0) FROM subtree WHERE level = NEW.level) AND length(NEW.hash) = 32',
};

function statements(): Map<string, string> {
  const all = new Map<string, string>();
  for (const [t, sql] of Object.entries(TABLES)) {
    const abort = (what: string) => `BEGIN SELECT RAISE(ABORT, 'append-only: ${what}'); END`;
    all.set(`table ${t} ${t}`, sql);
    all.set(
      `trigger ${t}_insert ${t}`,
      `CREATE TRIGGER ${t}_insert BEFORE INSERT ON ${t} WHEN (${CONDITIONS[t]}) IS NOT TRUE ${abort(`this does not continue ${t}`)}`,
    );
    all.set(
      `trigger ${t}_update ${t}`,
      `CREATE TRIGGER ${t}_update BEFORE UPDATE ON ${t} ${abort(`${t} cannot be updated`)}`,
    );
    all.set(
      `trigger ${t}_delete ${t}`,
      `CREATE TRIGGER ${t}_delete BEFORE DELETE ON ${t} ${abort(`${t} cannot be deleted from`)}`,
    );
  }
  return all;
}

/** What the database declares that the format does not, or otherwise, and what is missing. */
export function schemaProblems(db: DatabaseSync): string[] {
  const expected = statements();
  const problems: string[] = [];
  for (const { type, name, tbl_name: table, sql } of db.prepare('SELECT * FROM sqlite_schema').all()) {
    if (type === 'table' && /^sqlite_stat[1-4]$/.test(String(name))) continue;
    const key = `${type} ${name} ${table}`;
    if (expected.get(key) !== sql) problems.push(`${type} ${name} is not one of the format`);
    expected.delete(key);
  }
  for (const key of expected.keys()) problems.push(`${key.split(' ', 2).join(' ')} is missing`);
  return problems;
}
