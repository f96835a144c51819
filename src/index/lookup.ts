// What another replica has to ask about entries of its own when it answers a query: the other ends of their joins, and copies of audit
// events that reached both.
import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { Micros } from '../lib/clock.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';
import { hashKey, type KeyHash, mayHold } from './bloom.ts';
import type { Claim } from './facts.ts';
import type { FoundLink } from './found-links.ts';
import { keyOf, packId } from './keys.ts';
import { checkClaim, claimParts } from './links.ts';
import { type Place, Places } from './places.ts';
import { BLOCK_ENTRIES, LINK_STATES, TIME_ZERO } from './schema.ts';
import { type FoundEntry, findEntry } from './search.ts';
import { entryAt, type LedgerSource } from './source.ts';

/** Of one page, all at once. */
export interface Lookup {
  /** What events elsewhere say about decisions here. */
  readonly claims: readonly Claim[];
  /** uids of reviews that were decided elsewhere: which events here name one? */
  readonly uids: readonly string[];
  /** Events elsewhere: which here have the same id and stage? */
  readonly events: readonly EventId[];
  /** Events here, whose content is to be compared. */
  readonly places: readonly Place[];
}

export interface EventId {
  readonly auditID: string;
  readonly stage: string;
  readonly time: Micros;
}

export interface LookedUp {
  /** For each claim the decision here and whether the claim is true; null where it names a log or shard that is not here. */
  readonly claims: readonly (FoundLink | null)[];
  readonly naming: readonly Naming[];
  /** For each event. */
  readonly copies: readonly (readonly Copy[])[];
  /** For each place the hash of its event; null where there is none. */
  readonly hashes: readonly (string | null)[];
}

/** An event here that names a decision elsewhere. */
export interface Naming extends Place, Claim {
  readonly code?: number;
  readonly stage?: string;
}

export interface Copy {
  readonly entry: FoundEntry;
  /** SHA-256 of the event as recorded, hex. */
  readonly hash: string;
}

/** Each list of a lookup. */
export const MAX_LOOKED_UP = 4096;

/**
 * How far apart copies of an event can be: the API server sends a batch again for at most 82 s and the time of five calls, and clocks of
 * replicas may differ a little.
 */
const COPY_WINDOW: Micros = 300 * 1_000_000;

/** Of one event id, and of one review; clients choose audit ids. */
const MAX_EACH = 16;

/** All in one transaction. Throws what reading the index or the ledger throws. */
export function lookUp(db: Database.Database, source: LedgerSource, asked: Lookup): LookedUp {
  return db.transaction(() => {
    const places = Places.of(db);
    return {
      claims: asked.claims.map((claim) => decisionOf(source, claim)),
      naming: naming(db, places, asked.uids),
      copies: copiesOf(db, places, source, asked.events),
      hashes: asked.places.map(({ shard, seq }) => eventHash(source, shard, seq) ?? null),
    };
  })();
}

function decisionOf(source: LedgerSource, claim: Claim): FoundLink | null {
  const { origin, seq } = claimParts(claim.reference) ?? {};
  const shard = source.shards().find((one) => one.origin === origin);
  if (shard === undefined || seq === undefined) return null;
  const there = seq < shard.size ? entryAt(source, shard.number, seq) : undefined;
  const decision = there === undefined || there === 'damaged' || there.leaf.kind !== 'decision' ? undefined : there;
  const { state, claim: kept } = checkClaim(claim, Number.MAX_SAFE_INTEGER, {
    locate: () => seq,
    decided: () =>
      there === undefined ? undefined : { leafHash: decision?.leafHash ?? '', uid: decision?.leaf.uid ?? '' },
  });
  return {
    state,
    ...(there === undefined ? {} : { shard: shard.number, seq }),
    ...(decision === undefined ? {} : { kind: 'decision' }),
    ...(decision?.leaf.allowed === undefined ? {} : { allowed: decision.leaf.allowed }),
    ...(kept === null ? {} : { claim: kept }),
  };
}

const ELSEWHERE = LINK_STATES.indexOf('elsewhere');

function naming(db: Database.Database, places: Places, uids: readonly string[]): Naming[] {
  // Written as the schema writes it, or SQLite would not use the index.
  const select = db.prepare(
    `SELECT l.event, l.claim, f.code, f.stage FROM link l JOIN entry e ON e.pos = l.event JOIN facet f ON f.id = e.facet
     WHERE l.state = ${ELSEWHERE} AND substr(l.claim, 3, 36) = ? ORDER BY l.event LIMIT ${MAX_EACH}`,
  );
  return uids.flatMap((uid) => {
    const rows = select.all(uid) as { event: number; claim: string; code: number | null; stage: string }[];
    return rows.map(({ event, claim, code, stage }) => ({
      ...places.place(event),
      uid,
      reference: claim.slice(`d.${uid}=`.length),
      ...(code === null ? {} : { code }),
      ...(stage === '' ? {} : { stage }),
    }));
  });
}

interface Wanted {
  readonly stored: Buffer | string;
  readonly key: KeyHash;
  readonly stage: string;
  readonly since: number;
  readonly until: number;
  readonly found: Copy[];
}

function copiesOf(
  db: Database.Database,
  places: Places,
  source: LedgerSource,
  events: readonly EventId[],
): readonly (readonly Copy[])[] {
  const wanted = events.map(({ auditID, stage, time }): Wanted => {
    const stored = packId(auditID) ?? '';
    const key = hashKey(keyOf('id', typeof stored === 'string' ? stored : auditID));
    const at = time - TIME_ZERO;
    return { stored, key, stage, since: at - COPY_WINDOW, until: at + COPY_WINDOW, found: [] };
  });
  if (wanted.length === 0) return [];
  const rows = db
    .prepare(
      `SELECT e.pos FROM entry e JOIN facet f ON f.id = e.facet
     WHERE e.pos BETWEEN ? AND ? AND e.id = ? AND e.time BETWEEN ? AND ? AND f.kind = 'event' AND f.stage = ? LIMIT ${MAX_EACH}`,
    )
    .pluck();
  const collect = (low: number, high: number, one: Wanted): void => {
    const { stored, since, until, stage, found } = one;
    for (const pos of rows.all(low, high, stored, since, until, stage) as number[]) {
      if (found.length >= MAX_EACH) return;
      const place = places.place(pos);
      const entry = findEntry(db, place);
      const hash = eventHash(source, place.shard, place.seq);
      if (entry !== undefined && hash !== undefined) found.push({ entry, hash });
    }
  };
  const earliest = Math.min(...wanted.map(({ since }) => since));
  const latest = Math.max(...wanted.map(({ until }) => until));
  const blocks = db
    .prepare(
      'SELECT id, min_time, max_time, bits FROM block JOIN bloom ON block = id WHERE max_time >= ? AND min_time <= ?',
    )
    .iterate(earliest, latest) as IterableIterator<{ id: number; min_time: number; max_time: number; bits: Buffer }>;
  const hits: { readonly block: number; readonly one: Wanted }[] = [];
  for (const { id, min_time, max_time, bits } of blocks) {
    for (const one of wanted) {
      if (one.since <= max_time && one.until >= min_time && mayHold(bits, one.key)) hits.push({ block: id, one });
    }
  }
  for (const { block, one } of hits) collect(block * BLOCK_ENTRIES, block * BLOCK_ENTRIES + BLOCK_ENTRIES - 1, one);
  const unfinished = Math.floor(places.size / BLOCK_ENTRIES) * BLOCK_ENTRIES;
  for (const one of wanted) collect(unfinished, places.size - 1, one);
  return wanted.map(({ found }) => found);
}

const EVENT = jsonName('event');

/** Of the event as it stands in the body; what was received with it (from whom) is not part of it. */
function eventHash(source: LedgerSource, shard: number, seq: number): string | undefined {
  const entry = entryAt(source, shard, seq);
  if (entry === undefined || entry === 'damaged' || entry.leaf.kind !== 'event') return undefined;
  const doc = new JsonDocument();
  doc.scan(entry.body, 0);
  const event = doc.find(0, EVENT);
  return doc.isObject(event) ? createHash('sha256').update(doc.slice(event)).digest('hex') : undefined;
}
