// A filter, turned into what the index can answer: keys that a block must hold, and conditions on rows.
import type Database from 'better-sqlite3';
import { hashKey, type KeyHash } from './bloom.ts';
import { indexed, type KeyField, keyOf, packId, policyName } from './keys.ts';
import { type Filter, parseResource } from './query.ts';
import { TIME_ZERO } from './schema.ts';

export interface Conditions {
  /** A block that lacks one of them holds no match. */
  readonly keys: readonly KeyHash[];
  /** SQL over the row `e` of an entry; always true when empty. Its parameters in order. */
  readonly where: readonly string[];
  readonly parameters: readonly (string | number | Buffer)[];
  /** In the index's time. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/**
 * The conditions of a filter, or undefined when nothing in the index can match. Fills temporary tables of the connection, so it
 * runs in the transaction in which the rows are read. Throws nothing of its own.
 */
export function conditionsOf(db: Database.Database, filter: Filter): Conditions | undefined {
  const builder = new Builder(db);
  const possible =
    builder.facets(filter) &&
    builder.term('user', filter.user, ['user', 'impersonator']) &&
    builder.term('namespace', filter.namespace, ['namespace']);
  if (!possible) return undefined;
  builder.name(filter.name);
  builder.id(filter.uid);
  builder.id(filter.auditID);
  const since = filter.since === undefined ? undefined : filter.since - TIME_ZERO;
  const until = filter.until === undefined ? undefined : filter.until - TIME_ZERO;
  if (since !== undefined) builder.add('e.time >= ?', since);
  if (until !== undefined) builder.add('e.time < ?', until);
  return { keys: builder.keys, where: builder.where, parameters: builder.parameters, since, until };
}

class Builder {
  readonly keys: KeyHash[] = [];
  readonly where: string[] = [];
  readonly parameters: (string | number | Buffer)[] = [];
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  add(sql: string, ...parameters: (string | number | Buffer)[]): void {
    this.where.push(sql);
    this.parameters.push(...parameters);
  }

  key(field: KeyField, value: string): void {
    this.keys.push(hashKey(keyOf(field, value)));
  }

  name(name: string | undefined): void {
    if (name === undefined) return;
    if (isPattern(name)) {
      this.add('e.name GLOB ?', globOf(name));
      return;
    }
    this.add('e.name = ?', indexed(name));
    this.key('name', indexed(name));
  }

  id(id: string | undefined): void {
    if (id === undefined) return;
    const stored = packId(id) ?? '';
    this.add('e.id = ?', stored);
    this.key('id', typeof stored === 'string' ? stored : id);
  }

  /** False when no entry has such a text. */
  term(field: 'user' | 'namespace', value: string | undefined, columns: readonly string[]): boolean {
    if (value === undefined) return true;
    if (!isPattern(value)) {
      const id = this.#db.prepare('SELECT id FROM term WHERE text = ?').pluck().get(indexed(value)) as
        | number
        | undefined;
      if (id === undefined) return false;
      this.add(`(${columns.map((column) => `e.${column} = ?`).join(' OR ')})`, ...columns.map(() => id));
      this.key(field, indexed(value));
      return true;
    }
    const table = `pick_${field}`;
    const picked = this.#pick(table, 'SELECT id FROM term WHERE text GLOB ?', [globOf(value)]);
    this.add(`(${columns.map((column) => `e.${column} IN temp.${table}`).join(' OR ')})`);
    return picked > 0;
  }

  /** Conditions on what facets hold. False when no facet fits. */
  facets(filter: Filter): boolean {
    const where: string[] = [];
    const parameters: (string | number)[] = [];
    const equal = (column: string, value: string | number): void => {
      where.push(`${column} = ?`);
      parameters.push(value);
    };
    if (filter.uid !== undefined) where.push("kind IN ('decision', 'undelivered')");
    if (filter.auditID !== undefined) where.push("kind = 'event'");
    if (filter.kind !== undefined) {
      equal('kind', filter.kind);
      this.key('kind', filter.kind);
    }
    if (filter.allowed !== undefined) {
      equal('allowed', Number(filter.allowed));
      this.key('verdict', String(filter.allowed));
    }
    if (filter.verb !== undefined) {
      equal('verb', indexed(filter.verb));
      this.key('verb', indexed(filter.verb));
    }
    if (filter.code !== undefined) {
      equal('code', filter.code);
      this.key('code', String(filter.code));
    }
    const resource = filter.resource === undefined ? undefined : parseResource(filter.resource);
    if (resource !== undefined) {
      equal('resource', indexed(resource.resource));
      this.key('resource', indexed(resource.resource));
      if (resource.group !== undefined) equal('api_group', indexed(resource.group));
      if (resource.subresource !== undefined) equal('subresource', indexed(resource.subresource));
    }
    if (filter.policy !== undefined) {
      const name = policyName(filter.policy);
      where.push("EXISTS (SELECT 1 FROM json_each(facet.policies) WHERE value ->> 'policy' IN (?, ?))");
      parameters.push(name, `admission.${name}`);
      this.key('policy', indexed(name));
    }
    if (where.length === 0) return true;
    if (filter.policy !== undefined) where.unshift("policies <> ''");
    this.add('e.facet IN temp.pick_facet');
    return this.#pick('pick_facet', `SELECT id FROM facet WHERE ${where.join(' AND ')}`, parameters) > 0;
  }

  /** Keeps the ids that a SELECT gives in a temporary table, whose B-tree each row is then looked up in. */
  #pick(table: string, select: string, parameters: readonly (string | number)[]): number {
    this.#db.exec(`CREATE TABLE IF NOT EXISTS temp.${table} (id INTEGER PRIMARY KEY); DELETE FROM temp.${table}`);
    return this.#db.prepare(`INSERT INTO temp.${table} ${select}`).run(...parameters).changes;
  }
}

function isPattern(value: string): boolean {
  return value.includes('*');
}

/** Only `*` is special to our users; the rest of what GLOB knows stands for itself. */
function globOf(value: string): string {
  return value.toWellFormed().replace(/[[?]/g, '[$&]');
}
