// A block of consecutive entries: while it fills, its keys and times are gathered; when it is full they are written, and
// queries can skip it without looking at its rows.
import type Database from 'better-sqlite3';
import { BloomKeys, hashKey } from './bloom.ts';
import type { Facts } from './facts.ts';
import { facetKeys, indexed, keyOf, packId, unpackId } from './keys.ts';
import { type FacetRow, facetOfRow } from './rows.ts';
import { BLOCK_ENTRIES } from './schema.ts';

/** Of nearly every entry: each text behind the beginning of its key. */
const NAME_KEY = keyOf('name', '');
const ID_KEY = keyOf('id', '');

/** What the row of an entry holds beside its name and id. */
export interface BlockRow {
  readonly pos: number;
  readonly time: number;
  readonly facet: number;
  readonly user: number;
  readonly impersonator: number;
  readonly namespace: number;
}

/** The block that is being filled. Owned by the writer. */
export class Block {
  readonly #db: Database.Database;
  readonly #keys = new BloomKeys();
  readonly #facets = new Set<number>();
  readonly #users = new Set<number>();
  readonly #namespaces = new Set<number>();
  /** Hashes of names that were noted: not the names, each of which would keep the whole body alive that it was cut from. */
  readonly #names = new Map<number, number>();
  #minTime = Number.MAX_SAFE_INTEGER;
  #maxTime = Number.MIN_SAFE_INTEGER;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** Notes an entry's keys and times; gives its name and id in their stored form. */
  add(row: BlockRow, facts: Facts): { name: string; id: Buffer | string | null } {
    if (!this.#facets.has(row.facet)) {
      this.#facets.add(row.facet);
      for (const key of facetKeys(facts)) this.#keys.add(hashKey(key));
    }
    this.#term('user', this.#users, row.user, facts.user);
    this.#term('user', this.#users, row.impersonator, facts.impersonator);
    this.#term('namespace', this.#namespaces, row.namespace, facts.namespace);
    return this.#own(row.time, indexed(facts.name), facts.uid || facts.auditID);
  }

  /** Writes the block when `pos` was its last entry. */
  close(pos: number): void {
    if ((pos + 1) % BLOCK_ENTRIES !== 0) return;
    const id = Math.floor(pos / BLOCK_ENTRIES);
    this.#db.prepare('INSERT INTO block VALUES (?, ?, ?)').run(id, this.#minTime, this.#maxTime);
    this.#db.prepare('INSERT INTO bloom VALUES (?, ?)').run(id, this.#keys.filter());
    this.#clear();
  }

  /** Takes up a block that was left unfinished when the index was closed at `next`. */
  load(next: number): void {
    this.#clear();
    const start = next - (next % BLOCK_ENTRIES);
    const rows = this.#db.prepare('SELECT * FROM entry WHERE pos >= ?').all(start) as (BlockRow & {
      name: string;
      id: unknown;
    })[];
    const text = this.#db.prepare('SELECT text FROM term WHERE id = ?').pluck();
    const facet = this.#db.prepare('SELECT * FROM facet WHERE id = ?');
    for (const row of rows) {
      if (!this.#facets.has(row.facet)) {
        this.#facets.add(row.facet);
        for (const key of facetKeys(facetOfRow(facet.get(row.facet) as FacetRow))) this.#keys.add(hashKey(key));
      }
      for (const id of [row.user, row.impersonator])
        this.#term('user', this.#users, id, id === 0 ? '' : (text.get(id) as string));
      this.#term(
        'namespace',
        this.#namespaces,
        row.namespace,
        row.namespace === 0 ? '' : (text.get(row.namespace) as string),
      );
      this.#own(row.time, row.name, unpackId(row.id));
    }
  }

  #own(time: number, name: string, id: string): { name: string; id: Buffer | string | null } {
    if (time < this.#minTime) this.#minTime = time;
    if (time > this.#maxTime) this.#maxTime = time;
    if (name !== '') {
      const hash = hashKey(NAME_KEY, name);
      // Equal in both halves they set the same bits; noting one twice would only waste space.
      if (this.#names.get(hash.a) !== hash.b) this.#keys.add(hash);
      this.#names.set(hash.a, hash.b);
    }
    const stored = packId(id);
    if (stored !== null) this.#keys.add(hashKey(ID_KEY, typeof stored === 'string' ? stored : id));
    return { name, id: stored };
  }

  #term(field: 'user' | 'namespace', seen: Set<number>, id: number, text: string): void {
    if (id === 0 || seen.has(id)) return;
    seen.add(id);
    this.#keys.add(hashKey(keyOf(field, indexed(text))));
  }

  #clear(): void {
    this.#keys.clear();
    for (const seen of [this.#facets, this.#users, this.#namespaces, this.#names]) seen.clear();
    this.#minTime = Number.MAX_SAFE_INTEGER;
    this.#maxTime = Number.MIN_SAFE_INTEGER;
  }
}
