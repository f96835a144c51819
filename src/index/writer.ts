// Writes the index: one row an entry, its links, and at the end of each block what lets a query skip it.
import type Database from 'better-sqlite3';
import { parseMicros } from '../lib/clock.ts';
import { Block } from './block.ts';
import { Facets, Terms } from './dictionary.ts';
import { damagedFacts, type Facts, factsOf } from './facts.ts';
import { Forgetter } from './forget.ts';
import { checkClaim, type Decided, type Decisions, type Link } from './links.ts';
import { RecentDecisions } from './recent-decisions.ts';
import { LINK_STATES, TIME_ZERO } from './schema.ts';
import { entryAt, type LedgerSource, type SourceEntry } from './source.ts';

/** Up to where the index holds the ledger: the next entry to come. */
export interface IndexPosition {
  readonly shard: number;
  /** Entries of that shard that are in the index. */
  readonly size: number;
}

interface ShardRow {
  number: number;
  base: number;
  origin: string;
  indexed: number;
  last_hash: string;
}

/** Events can name a decision for each object of a deletecollection; so many of one event are kept. */
const MAX_LINKS = 256;

/** Rows of one INSERT, the most of all first: a third of what a row costs is the call. */
const ROWS = [32, 8, 2, 1] as const;
const COLUMNS = 'pos, time, facet, user, impersonator, namespace, name, id';
const ROW = '(?, ?, ?, ?, ?, ?, ?, ?)';
const ROW_VALUES = 8;

/** Owned by one thread. Between begin() and commit() nobody else sees what was added. */
export class IndexWriter implements Decisions {
  readonly #db: Database.Database;
  readonly #source: LedgerSource;
  readonly #terms: Terms;
  readonly #facets: Facets;
  /** Each for so many rows, the most first. */
  readonly #addEntries: readonly { readonly rows: number; readonly statement: Database.Statement }[];
  /** Values of rows that are not in the table yet, one row behind the other. */
  #rows: unknown[] = [];
  readonly #addLink: Database.Statement;
  readonly #putShard: Database.Statement;
  readonly #dropShard: Database.Statement;
  readonly #shards = new Map<number, ShardRow>();
  readonly #origins = new Map<string, ShardRow>();
  readonly #recent = new RecentDecisions();
  readonly #block: Block;
  readonly #forgetter: Forgetter;
  readonly #micros = microsReader();
  #current: ShardRow | undefined;
  /** Of the current shard, until its hash is asked for: hashing each entry would be for nothing. */
  #last: Pick<SourceEntry, 'leafHash'> | undefined;
  #lastTime = 0;

  constructor(db: Database.Database, source: LedgerSource) {
    this.#db = db;
    this.#source = source;
    this.#terms = new Terms(db);
    this.#facets = new Facets(db);
    this.#addEntries = ROWS.map((rows) => {
      const sql = `INSERT INTO entry (${COLUMNS}) VALUES ${Array(rows).fill(ROW).join(', ')}`;
      return { rows, statement: db.prepare(sql) };
    });
    this.#addLink = db.prepare('INSERT INTO link (event, n, state, decision, claim) VALUES (?, ?, ?, ?, ?)');
    this.#putShard = db.prepare('INSERT OR REPLACE INTO shard VALUES (?, ?, ?, ?, ?)');
    this.#block = new Block(db);
    this.#forgetter = new Forgetter(db);
    this.#dropShard = db.prepare('DELETE FROM shard WHERE number = ?');
    this.#load();
  }

  /** undefined before the first entry. */
  position(): IndexPosition | undefined {
    const current = this.#current;
    return current && { shard: current.number, size: current.indexed };
  }

  /** Leaf hash of the last entry, hex; empty when that cannot be read. */
  lastHash(): string | undefined {
    this.#noteLast();
    return this.#current?.last_hash;
  }

  /** Origins of the indexed shards by number. */
  origins(): ReadonlyMap<number, string> {
    return new Map([...this.#shards.values()].map((shard) => [shard.number, shard.origin]));
  }

  begin(): void {
    this.#db.exec('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.#flush();
    this.#saveShard();
    this.#db.exec('COMMIT');
  }

  /** Gives up what was added since begin(). */
  rollback(): void {
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    this.#terms.forget();
    this.#facets.forget();
    this.#load();
  }

  /** Begins the shard that follows the current one. Call within a transaction. */
  openShard(number: number, origin: string): void {
    this.#saveShard();
    const last = this.#current;
    this.#know({ number, origin, base: last === undefined ? 0 : last.base + last.indexed, indexed: 0, last_hash: '' });
  }

  /**
   * Takes at most `limit` entries of shards before `number` out of the index, and a shard when its last is gone; gives how many.
   * Call within a transaction.
   */
  forgetBefore(number: number, limit: number): number {
    let forgotten = 0;
    for (const shard of [...this.#shards.values()]) {
      if (shard.number >= number || shard === this.#current) break;
      forgotten += this.#forgetter.before(shard.base + shard.indexed, limit - forgotten);
      if (forgotten === limit) break;
      this.#forgetter.unused();
      this.#terms.forget();
      this.#facets.forget();
      this.#dropShard.run(shard.number);
      this.#shards.delete(shard.number);
      this.#origins.delete(shard.origin);
    }
    return forgotten;
  }

  /** Adds the entry that follows the last one of the current shard. */
  add(entry: SourceEntry): void {
    const { shard, pos } = this.#next(entry.shard, entry.seq);
    const facts = factsOf(entry.leaf, entry.text);
    this.#put(pos, this.#micros(entry.leaf.time) - TIME_ZERO, facts);
    if (facts.kind === 'decision') this.#recent.add(pos, entry.leafText);
    this.#addLinks(pos, facts);
    shard.indexed++;
    this.#last = entry;
  }

  /** Adds, for an entry that follows but cannot be read, that there is one. It gets the time of the entry before. */
  addDamaged(number: number, seq: number): void {
    const { shard, pos } = this.#next(number, seq);
    this.#put(pos, this.#lastTime, damagedFacts());
    shard.indexed++;
    shard.last_hash = '';
    this.#last = undefined;
  }

  #next(number: number, seq: number): { shard: ShardRow; pos: number } {
    const shard = this.#current;
    if (shard === undefined || number !== shard.number || seq !== shard.indexed) {
      throw new Error(`entry ${number}/${seq} does not follow what the index holds`);
    }
    return { shard, pos: shard.base + seq };
  }

  #put(pos: number, time: number, facts: Facts): void {
    const facet = this.#facets.id(facts);
    const user = this.#terms.id(facts.user);
    const impersonator = this.#terms.id(facts.impersonator);
    const namespace = this.#terms.id(facts.namespace);
    const row = this.#block.add({ pos, time, facet, user, impersonator, namespace }, facts);
    this.#rows.push(pos, time, facet, user, impersonator, namespace, row.name, row.id);
    if (this.#rows.length === ROWS[0] * ROW_VALUES) this.#flush();
    this.#lastTime = time;
    this.#block.close(pos);
  }

  /** Brings the rows into the table. */
  #flush(): void {
    const all = this.#rows;
    let at = 0;
    for (const { rows, statement } of this.#addEntries) {
      const length = rows * ROW_VALUES;
      for (; at + length <= all.length; at += length)
        statement.run(length === all.length ? all : all.slice(at, at + length));
    }
    this.#rows = [];
  }

  locate(origin: string, seq: number): number | undefined {
    const shard = this.#origins.get(origin);
    if (shard === undefined) return undefined;
    return seq < shard.indexed ? shard.base + seq : Number.MAX_SAFE_INTEGER;
  }

  decided(pos: number): Decided | undefined {
    const recent = this.#recent.get(pos);
    if (recent !== undefined) return recent;
    for (const shard of this.#shards.values()) {
      if (pos < shard.base || pos >= shard.base + shard.indexed) continue;
      const entry = entryAt(this.#source, shard.number, pos - shard.base);
      if (entry === undefined) return undefined;
      if (entry === 'damaged' || entry.leaf.kind !== 'decision') return { leafHash: '', uid: '' };
      return { leafHash: entry.leafHash, uid: entry.leaf.uid ?? '' };
    }
    return undefined;
  }

  #addLinks(pos: number, facts: Facts): void {
    if (facts.claims.length === 0 && facts.about === undefined) return;
    const links = facts.claims.slice(0, MAX_LINKS).map((claim) => checkClaim(claim, pos, this));
    if (facts.about !== undefined) links.push(this.#undelivered(facts.about, pos, facts.uid));
    links.forEach((link, n) => {
      this.#addLink.run(pos, n, LINK_STATES.indexOf(link.state), link.decision, link.claim);
    });
  }

  #undelivered(about: { shard: number; seq: number }, pos: number, uid: string): Link {
    const shard = this.#shards.get(about.shard);
    const decision = shard === undefined ? pos : shard.base + about.seq;
    if (shard === undefined || about.seq >= shard.indexed || decision >= pos) {
      return { state: 'missing', decision: null, claim: null };
    }
    return { state: this.decided(decision)?.uid === uid ? 'verified' : 'mismatch', decision, claim: null };
  }

  #load(): void {
    this.#rows = [];
    this.#shards.clear();
    this.#origins.clear();
    this.#recent.clear();
    this.#current = undefined;
    this.#last = undefined;
    for (const row of this.#db.prepare('SELECT * FROM shard ORDER BY number').all() as ShardRow[]) this.#know(row);
    const current = this.#current as ShardRow | undefined;
    this.#lastTime =
      (this.#db.prepare('SELECT time FROM entry ORDER BY pos DESC LIMIT 1').pluck().get() as number | undefined) ?? 0;
    this.#block.load(current === undefined ? 0 : current.base + current.indexed);
  }

  #noteLast(): void {
    if (this.#current !== undefined && this.#last !== undefined) this.#current.last_hash = this.#last.leafHash;
    this.#last = undefined;
  }

  #saveShard(): void {
    this.#noteLast();
    const shard = this.#current;
    if (shard !== undefined) this.#putShard.run(shard.number, shard.base, shard.origin, shard.indexed, shard.last_hash);
  }

  #know(shard: ShardRow): void {
    this.#shards.set(shard.number, shard);
    this.#origins.set(shard.origin, shard);
    this.#current = shard;
  }
}

/** Reads leaf times, which hardly ever differ in their second from the one before. */
function microsReader(): (time: string) => number {
  let second = '';
  let micros = 0;
  return (time) => {
    const rest = Number(time.slice(20, 26));
    if (time.length !== 27 || Number.isNaN(rest)) return parseMicros(time) ?? TIME_ZERO;
    if (!time.startsWith(second) || second === '') {
      second = time.slice(0, 20);
      micros = parseMicros(`${time.slice(0, 19)}Z`) ?? TIME_ZERO;
    }
    return micros + rest;
  };
}
