// Answers a query from the index: block by block, skipping those that cannot match, until the page is full or time is up.
import type Database from 'better-sqlite3';
import { formatMicros } from '../lib/clock.ts';
import { mayHold } from './bloom.ts';
import { type Conditions, conditionsOf } from './conditions.ts';
import { type Cursor, encodeCursor } from './cursor.ts';
import type { FiredPolicy } from './facts.ts';
import { type FoundLink, Links } from './found-links.ts';
import { unpackId } from './keys.ts';
import { type Place, Places } from './places.ts';
import type { Query } from './query.ts';
import { type FacetRow, facetOfRow } from './rows.ts';
import { BLOCK_ENTRIES, TIME_ZERO } from './schema.ts';

/** An entry as a list shows it. Absent: the entry has no such thing. Stable: `-o json` and the API give exactly this. */
export interface FoundEntry {
  /** Whose ledger holds it, where several replicas were asked. */
  readonly replica?: string;
  readonly shard: number;
  readonly seq: number;
  /** RFC 3339, UTC, six decimals. */
  readonly time: string;
  readonly kind: string;
  readonly allowed?: boolean;
  readonly policies?: readonly FiredPolicy[];
  readonly user?: string;
  readonly impersonator?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly dryRun?: true;
  readonly code?: number;
  readonly stage?: string;
  readonly uid?: string;
  readonly auditID?: string;
  /** A decision's audit events (and a report that it was not delivered); an event's decisions. */
  readonly links?: readonly FoundLink[];
  /** The same audit event in the ledgers of other replicas, which a list shows once. */
  readonly copies?: readonly (Place & { readonly replica: string })[];
}

export interface Page {
  readonly entries: readonly FoundEntry[];
  /** Goes on behind this page; null when there is nothing behind it (newest first) or nothing yet (oldest first). */
  readonly next: string | null;
  /** Behind the newest entry of the index: what comes after the page was made, oldest first, begins there. */
  readonly tail: string;
  /** The time limit came before the page was full: `next` goes on from there. */
  readonly incomplete: boolean;
  /** The newest entry that the index holds, or null. */
  readonly indexed: Place | null;
}

interface EntryRow extends FacetRow {
  readonly pos: number;
  readonly time: number;
  readonly user_text: string | null;
  readonly impersonator_text: string | null;
  readonly namespace_text: string | null;
  readonly name: string;
  readonly entry_id: unknown;
}

export interface SearchLimits {
  /** Whether time is up: asked once a block. */
  readonly expired: () => boolean;
}

const BEFORE_ALL: Cursor = { shard: 0, seq: -1 };

/** Blocks whose times are fetched at once. */
const BLOCK_ROWS = 512;

/** One page of a query, read in one transaction so that the page is of one state of the index. */
export function search(db: Database.Database, query: Query, limits: SearchLimits): Page {
  return db.transaction(() => new Search(db, query, limits).run())();
}

/** An entry as a list would show it, or undefined while the index does not hold it. */
export function findEntry(db: Database.Database, place: Place): FoundEntry | undefined {
  const { shard, seq } = place;
  const query: Query = { filter: {}, ascending: true, limit: 1, after: { shard, seq: seq - 1 } };
  const [found] = search(db, query, { expired: () => false }).entries;
  return found?.shard === shard && found.seq === seq ? found : undefined;
}

class Search {
  readonly #db: Database.Database;
  readonly #query: Query;
  readonly #limits: SearchLimits;
  readonly #places: Places;
  readonly #links: Links;

  constructor(db: Database.Database, query: Query, limits: SearchLimits) {
    this.#db = db;
    this.#query = query;
    this.#limits = limits;
    this.#places = Places.of(db);
    this.#links = new Links(db, this.#places);
  }

  run(): Page {
    const { filter, ascending, limit, after } = this.#query;
    const places = this.#places;
    const from = after === undefined ? undefined : places.behind(after, ascending);
    const conditions = conditionsOf(this.#db, filter);
    let rows: EntryRow[] = [];
    let stopped: number | undefined;
    if (conditions !== undefined) {
      const scan = this.#scan(conditions);
      let scanned = 0;
      for (const [low, high] of this.#ranges(conditions, from)) {
        // One range at least, so that every page gets further.
        if (scanned++ > 0 && this.#limits.expired()) {
          stopped = ascending ? low - 1 : high + 1;
          break;
        }
        rows = rows.concat(scan(low, high, limit + 1 - rows.length));
        if (rows.length > limit) break;
      }
    }
    const full = rows.length > limit;
    if (full) rows.length = limit;
    const last = full ? rows.at(-1)?.pos : stopped;
    const next = last === undefined ? null : this.#cursor(last, after);
    const newest = places.size === 0 ? null : places.place(places.size - 1);
    return {
      entries: rows.map((row) => this.#found(row)),
      next,
      tail: this.#cursor(places.size - 1, undefined),
      incomplete: stopped !== undefined,
      indexed: newest,
    };
  }

  /** −1 or `size` stand before the first and behind the last entry. */
  #cursor(pos: number, after: Cursor | undefined): string {
    if (pos >= 0 && pos < this.#places.size) return encodeCursor(this.#places.place(pos));
    return encodeCursor(after ?? BEFORE_ALL);
  }

  #scan(conditions: Conditions): (low: number, high: number, limit: number) => EntryRow[] {
    const direction = this.#query.ascending ? 'ASC' : 'DESC';
    const where = ['e.pos BETWEEN ? AND ?', ...conditions.where].join(' AND ');
    const statement = this.#db.prepare(
      `SELECT e.pos, e.time, e.name, e.id AS entry_id, f.*, u.text AS user_text, i.text AS impersonator_text, n.text AS namespace_text
       FROM (SELECT * FROM entry e WHERE ${where} ORDER BY e.pos ${direction} LIMIT ?) e
       CROSS JOIN facet f ON f.id = e.facet
       LEFT JOIN term u ON u.id = e.user LEFT JOIN term i ON i.id = e.impersonator LEFT JOIN term n ON n.id = e.namespace
       ORDER BY e.pos ${direction}`,
    );
    return (low, high, limit) => statement.all(low, high, ...conditions.parameters, limit) as EntryRow[];
  }

  /** The ranges of pos in which matches can be, in the query's order. */
  *#ranges(conditions: Conditions, from: number | undefined): Generator<readonly [number, number]> {
    const last = this.#places.size - 1;
    const lowest = this.#query.ascending ? (from ?? 0) : 0;
    const highest = this.#query.ascending ? last : Math.min(from ?? last, last);
    if (lowest > highest) return;
    const unfinished = Math.floor(this.#places.size / BLOCK_ENTRIES) * BLOCK_ENTRIES;
    const clip = (low: number, high: number): readonly [number, number] => [
      Math.max(low, lowest),
      Math.min(high, highest),
    ];
    const tail = clip(unfinished, last);
    if (!this.#query.ascending && tail[0] <= tail[1]) yield tail;
    for (const block of this.#blocks(
      conditions,
      Math.floor(lowest / BLOCK_ENTRIES),
      Math.floor(highest / BLOCK_ENTRIES),
    )) {
      yield clip(block * BLOCK_ENTRIES, block * BLOCK_ENTRIES + BLOCK_ENTRIES - 1);
    }
    if (this.#query.ascending && tail[0] <= tail[1]) yield tail;
  }

  /** Full blocks that may hold a match, in the query's order. */
  *#blocks(conditions: Conditions, first: number, last: number): Generator<number> {
    const { ascending } = this.#query;
    const blocks = this.#db.prepare(
      `SELECT id, min_time < ? AND max_time >= ? AS overlaps FROM block WHERE id BETWEEN ? AND ? ORDER BY id ${ascending ? 'ASC' : 'DESC'} LIMIT ${BLOCK_ROWS}`,
    );
    const bits = this.#db.prepare('SELECT bits FROM bloom WHERE block = ?').pluck();
    const since = conditions.since ?? Number.MIN_SAFE_INTEGER;
    const until = conditions.until ?? Number.MAX_SAFE_INTEGER;
    let low = first;
    let high = last;
    for (;;) {
      const rows = blocks.all(until, since, low, high) as { id: number; overlaps: number }[];
      for (const { id, overlaps } of rows) {
        if (overlaps === 0) continue;
        if (conditions.keys.length === 0) {
          yield id;
          continue;
        }
        const filter = bits.get(id) as Buffer;
        if (conditions.keys.every((key) => mayHold(filter, key))) yield id;
      }
      const end = rows.at(-1);
      if (end === undefined || rows.length < BLOCK_ROWS) return;
      if (ascending) low = end.id + 1;
      else high = end.id - 1;
    }
  }

  #found(row: EntryRow): FoundEntry {
    const facet = facetOfRow(row);
    const id = unpackId(row.entry_id);
    const links = this.#links.of(row.pos, facet.kind);
    return {
      ...this.#places.place(row.pos),
      time: formatMicros(row.time + TIME_ZERO),
      kind: facet.kind,
      ...(facet.allowed === undefined ? {} : { allowed: facet.allowed }),
      ...(facet.kind === 'decision' || facet.kind === 'finding' ? { policies: facet.policies } : {}),
      ...text('user', row.user_text),
      ...text('impersonator', row.impersonator_text),
      ...text('verb', facet.verb),
      ...text('group', facet.group),
      ...text('resource', facet.resource),
      ...text('subresource', facet.subresource),
      ...text('namespace', row.namespace_text),
      ...text('name', row.name),
      ...(facet.dryRun ? { dryRun: true as const } : {}),
      ...(facet.code === undefined ? {} : { code: facet.code }),
      ...text('stage', facet.stage),
      ...text(facet.kind === 'event' ? 'auditID' : 'uid', id),
      ...(links.length === 0 ? {} : { links }),
    };
  }
}

function text<K extends string>(key: K, value: string | null): { [P in K]?: string } {
  return value === null || value === '' ? {} : ({ [key]: value } as { [P in K]: string });
}
