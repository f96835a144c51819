// Takes the rows of removed shards out of the index: what has left the ledger is not to be found in a view of it either.
import type Database from 'better-sqlite3';
import { BLOCK_ENTRIES } from './schema.ts';

/** Deletes what the index holds of the entries before a pos, in bounded steps. */
export class Forgetter {
  readonly #db: Database.Database;
  readonly #first: Database.Statement<[], number | null>;
  readonly #entries: Database.Statement;
  readonly #links: Database.Statement;
  readonly #blooms: Database.Statement;
  readonly #blocks: Database.Statement;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#first = db.prepare<[], number | null>('SELECT min(pos) FROM entry').pluck();
    this.#entries = db.prepare('DELETE FROM entry WHERE pos < ?');
    this.#links = db.prepare('DELETE FROM link WHERE event < ?');
    this.#blooms = db.prepare('DELETE FROM bloom WHERE block < ?');
    this.#blocks = db.prepare('DELETE FROM block WHERE id < ?');
  }

  /** Deletes at most `limit` entries before `end`, the oldest first; gives how many are gone. Call within a transaction. */
  before(end: number, limit: number): number {
    const first = this.#first.get() ?? end;
    if (first >= end) return 0;
    const next = Math.min(end, first + limit);
    this.#entries.run(next);
    this.#links.run(next);
    // The block in which the next entry is stays: it skips less than it could, that is all.
    const block = Math.floor(next / BLOCK_ENTRIES);
    this.#blooms.run(block);
    this.#blocks.run(block);
    return next - first;
  }

  /** Deletes the texts and facets, names of people among them, that no entry has any more. Call within a transaction. */
  unused(): void {
    this.#db.exec(`
      DELETE FROM term WHERE id NOT IN
        (SELECT user FROM entry UNION SELECT impersonator FROM entry UNION SELECT namespace FROM entry);
      DELETE FROM facet WHERE id NOT IN (SELECT facet FROM entry)`);
  }
}
