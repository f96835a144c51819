// The join as a query shows it: the events of a decision, the decisions of an event.
import type Database from 'better-sqlite3';
import type { Places } from './places.ts';
import { LINK_STATES, type LinkState } from './schema.ts';

/** The entry at the other end of a link, and whether the event's claim about the decision proved true. */
export interface FoundLink {
  readonly state: LinkState;
  /** Of the other end, where that is another than the entry's own. */
  readonly replica?: string;
  /** Absent when there is no such entry here. */
  readonly shard?: number;
  readonly seq?: number;
  readonly kind?: string;
  /** Of an event. */
  readonly code?: number;
  readonly stage?: string;
  /** Of a decision. */
  readonly allowed?: boolean;
  /** What the event says, when it did not prove true: `d.<uid>=<origin>:<seq>:<leaf hash>`. */
  readonly claim?: string;
}

interface LinkRow {
  readonly state: number;
  readonly other: number | null;
  readonly claim: string | null;
  readonly kind: string | null;
  readonly code: number | null;
  readonly stage: string | null;
  readonly allowed: number | null;
}

/** Links of one entry that are shown in a list; a deletecollection can have one for each object. */
const MAX_SHOWN = 32;

const SELECT = `SELECT l.state, o.pos AS other, l.claim, f.kind, f.code, f.stage, f.allowed`;
const OF_DECISION = `${SELECT} FROM link l JOIN entry o ON o.pos = l.event JOIN facet f ON f.id = o.facet
  WHERE l.decision = ? ORDER BY l.event, l.n LIMIT ${MAX_SHOWN}`;
const OF_EVENT = `${SELECT} FROM link l LEFT JOIN entry o ON o.pos = l.decision LEFT JOIN facet f ON f.id = o.facet
  WHERE l.event = ? ORDER BY l.n LIMIT ${MAX_SHOWN}`;

/** Reads links within one query. */
export class Links {
  readonly #ofDecision: Database.Statement;
  readonly #ofEvent: Database.Statement;
  readonly #places: Places;

  constructor(db: Database.Database, places: Places) {
    this.#ofDecision = db.prepare(OF_DECISION);
    this.#ofEvent = db.prepare(OF_EVENT);
    this.#places = places;
  }

  /** The links of the entry at `pos`, which is of that kind. */
  of(pos: number, kind: string): FoundLink[] {
    if (kind !== 'decision' && kind !== 'event' && kind !== 'undelivered') return [];
    const rows = (kind === 'decision' ? this.#ofDecision : this.#ofEvent).all(pos) as LinkRow[];
    return rows.map((row) => ({
      state: LINK_STATES[row.state] ?? 'mismatch',
      ...(row.other === null ? {} : this.#places.place(row.other)),
      ...(row.kind === null ? {} : { kind: row.kind }),
      ...(row.code === null ? {} : { code: row.code }),
      ...(row.stage === null || row.stage === '' ? {} : { stage: row.stage }),
      ...(row.allowed === null ? {} : { allowed: row.allowed === 1 }),
      ...(row.claim === null ? {} : { claim: row.claim }),
    }));
  }
}
