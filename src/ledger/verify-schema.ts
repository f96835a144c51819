// Holds what a shard's database declares against the tables and triggers of the format. SQLite answers from an index when it can,
// and whoever removed a trigger took the guard away: neither is there in a shard that nobody touched.
import { SHARD_OBJECTS } from './schema.ts';

/** A row of `sqlite_schema`; null for what is no text, or longer than anything of the format. */
export interface SchemaRow {
  readonly type: string | null;
  readonly name: string | null;
  readonly table: string | null;
  readonly sql: string | null;
}

/** What is foreign, changed or missing, a sentence each, by name. */
export function schemaProblems(rows: readonly SchemaRow[]): string[] {
  const missing = new Map(SHARD_OBJECTS.map((sql) => [nameOf(sql), sql]));
  const problems: string[] = [];
  for (const { type, name, table, sql } of rows) {
    // The statistics that ANALYZE leaves.
    if (type === 'table' && name !== null && /^sqlite_stat[1-4]$/.test(name)) continue;
    const what = `${type ?? 'something'} ${name ?? 'without a name'}`;
    const expected = missing.get(what);
    if (expected === undefined) problems.push(`${what} is not part of a shard: somebody added it`);
    else if (sql !== expected || table !== tableOf(expected))
      problems.push(`${what} is not the one of the format: it was changed`);
    missing.delete(what);
  }
  for (const what of missing.keys()) {
    const guard = what.startsWith('trigger') ? ', which refuses changes,' : '';
    problems.push(`${what}${guard} is missing: somebody removed it`);
  }
  return problems;
}

/** `trigger leaf_update` */
function nameOf(sql: string): string {
  const [, type = '', name = ''] = sql.split(/\s+/, 3);
  return `${type.toLowerCase()} ${name}`;
}

/** The table that a statement creates, or that its trigger is on. */
function tableOf(sql: string): string | undefined {
  return (/^CREATE TRIGGER .*? ON (\w+) /.exec(sql) ?? /^CREATE TABLE (\w+) /.exec(sql))?.[1];
}
