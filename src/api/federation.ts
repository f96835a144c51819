// A query over all replicas: each is asked for a page of its own ledger, the pages are merged by time, and whoever did not answer is named.
import { type Cursor, decodeCursor } from '../index/cursor.ts';
import type { Query } from '../index/query.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import {
  decodeFederated,
  encodeFederated,
  type FederatedCursor,
  isFederated,
  Listed,
  type Position,
} from './federated-cursor.ts';
import { joinAcross, type OwnedEntry } from './joined.ts';
import type { Members, Missing, Peers } from './peers.ts';
import type { EntryAnswer } from './query-protocol.ts';
import type { Replica, ReplicaPage } from './replica.ts';

/** One replica's part in an answer. */
export type ReplicaStatus =
  | {
      readonly replica: string;
      readonly answered: true;
      /** It answered, but not all that it was asked. */
      readonly why?: string;
      readonly current: boolean;
      readonly head: ReplicaPage['head'];
      readonly indexed: ReplicaPage['indexed'];
      readonly older: ReplicaPage['older'];
    }
  | { readonly replica: string; readonly answered: false; readonly why: string };

export interface FederatedPage extends Pick<ReplicaPage, 'next' | 'tail' | 'incomplete' | 'current'> {
  readonly entries: readonly OwnedEntry[];
  readonly replicas: readonly ReplicaStatus[];
}

export interface Federation {
  readonly own: Replica;
  /** Throws QUERY_INVALID for a cursor that is none, QUERY_UNAVAILABLE when too many are asked at once, and what this replica refuses when no other answers either. */
  page(query: Query, cursor: string | undefined): Promise<FederatedPage>;
  /** The entry of a replica, by its name or the name of its log (`<domain>/<cluster>/<replica>`). Throws PEER_UNAVAILABLE, ENTRY_NOT_FOUND. */
  entry(
    replica: string | undefined,
    shard: number | undefined,
    seq: number,
  ): Promise<{ replica: string; answer: EntryAnswer } | null>;
  members(): Promise<Members>;
}

/** Queries that ask all replicas at a time. */
const MAX_PAGES = 16;

const BEGUN_WITHOUT = 'it did not answer when the query began: begin it again';

export function createFederation(options: { own: Replica; peers: Peers; cluster: string }): Federation {
  const { own, peers, cluster } = options;
  let running = 0;
  return {
    own,
    members: () => peers.members(),
    async page(query, cursor) {
      const from = cursor === undefined ? undefined : decode(cursor);
      if (running >= MAX_PAGES)
        throw new SealgateError(
          'QUERY_UNAVAILABLE',
          'too many queries over all replicas are running; try again in a moment',
        );
      running++;
      try {
        return await pageOf(own, await peers.members(), query, from);
      } finally {
        running--;
      }
    },
    async entry(asked, shard, seq) {
      const name = asked?.startsWith(`${cluster}/`) === true ? asked.slice(cluster.length + 1) : (asked ?? own.name);
      const { replicas, missing } = await peers.members();
      const all = [own, ...replicas];
      const replica = all.find((one) => one.name === name);
      if (replica === undefined) throw notThere(name, all, missing);
      const answer = await replica.entry(shard, seq).catch((error: unknown) => Promise.reject(named(name, error)));
      if (answer === null) return null;
      return { replica: name, answer: await joinedEntry(name, answer, all) };
    },
  };
}

function decode(cursor: string): FederatedCursor {
  const decoded = decodeFederated(cursor);
  if (decoded !== undefined) return decoded;
  const what = isFederated(cursor) ? 'malformed' : 'of one replica: give local=1 with it, or leave it out';
  throw new SealgateError('QUERY_INVALID', `the cursor is ${what}`);
}

function notThere(name: string, all: readonly Replica[], missing: readonly Missing[]): SealgateError {
  const why = missing.find(({ replica }) => replica === name)?.why;
  const known = all.map((one) => one.name).join(', ');
  return new SealgateError(
    'PEER_UNAVAILABLE',
    why === undefined ? `there is no replica ${name}; these answer: ${known}` : `${name}: ${why}`,
  );
}

/** What a replica says of itself does not say which one it is. */
function named(replica: string, error: unknown): unknown {
  if (!(error instanceof SealgateError) || error.code !== 'PEER_UNAVAILABLE') return error;
  return new SealgateError(error.code, `${replica}: ${error.message}`, { cause: error });
}

/** With the links that only other replicas know. What they do not say is left out: the entry itself is what was asked for. */
async function joinedEntry(replica: string, answer: EntryAnswer, all: readonly Replica[]): Promise<EntryAnswer> {
  if (answer.found === null) return answer;
  const { entries } = await joinAcross([{ ...answer.found, replica }], all);
  return { ...answer, found: entries[0] ?? answer.found };
}

/** What one replica gave, as far as it was merged. */
interface Part {
  readonly replica: Replica;
  readonly from: Cursor | undefined;
  readonly page: ReplicaPage;
  taken: number;
}

async function pageOf(
  own: Replica,
  members: Members,
  query: Query,
  from: FederatedCursor | undefined,
): Promise<FederatedPage> {
  const positions = new Map<string, Position>(from?.positions);
  const missing = new Map(members.missing.map((one) => [one.replica, one]));
  const asked: Replica[] = [];
  for (const replica of [own, ...members.replicas]) {
    const position = positions.get(replica.name);
    // One that was not there at the beginning would bring entries that belong on earlier pages.
    if (from !== undefined && (position === undefined || position === 'missing'))
      missing.set(replica.name, { replica: replica.name, why: BEGUN_WITHOUT });
    else asked.push(replica);
  }
  const { parts, failed, refused } = await pagesOf(asked, query, positions);
  for (const one of failed) missing.set(one.replica, one);
  if (parts.length === 0) throw refused;
  for (const [name, position] of positions) {
    const gone = position !== 'end' && !parts.some(({ replica }) => replica.name === name) && !missing.has(name);
    if (gone) missing.set(name, { replica: name, why: 'it is not among the replicas any more' });
  }

  const listed = new Listed(from?.listed);
  const merged = merge(parts, query);
  const joined = await joinAcross(
    merged,
    parts.map(({ replica }) => replica),
  );
  const entries = withoutCopies(joined.entries, listed);
  for (const name of missing.keys()) positions.set(name, 'missing');
  for (const part of parts) positions.set(part.replica.name, positionOf(part, query.ascending));
  const open = parts.some(hasMore);
  const tails = new Map<string, Position>(parts.map(({ replica, page }) => [replica.name, placeOf(page.tail)]));
  for (const name of missing.keys()) tails.set(name, 'missing');
  return {
    entries,
    next: open ? encodeFederated({ positions, listed: listed.behind(positions, query.ascending) }) : null,
    tail: encodeFederated({ positions: tails, listed: new Map() }),
    incomplete: parts.some(({ page }) => page.incomplete),
    current: parts.every(({ page }) => page.current),
    replicas: statusOf(parts, missing, joined.failed, own.name),
  };
}

interface Pages {
  readonly parts: Part[];
  readonly failed: Missing[];
  /** Why there is no part at all. */
  readonly refused: unknown;
}

async function pagesOf(
  asked: readonly Replica[],
  query: Query,
  positions: ReadonlyMap<string, Position>,
): Promise<Pages> {
  const { after: _, ...first } = query;
  const pages: Pages & { refused: unknown } = { parts: [], failed: [], refused: undefined };
  await Promise.all(
    asked.map(async (replica) => {
      const position = positions.get(replica.name);
      const from = typeof position === 'object' ? position : undefined;
      // It has given all that it has, and is asked only how far it is.
      const ended = position === 'end';
      try {
        const limited = ended ? { ...first, limit: 1 } : first;
        const page = await replica.search(from === undefined ? limited : { ...limited, after: from });
        const all = ended ? { ...page, entries: [], next: null, incomplete: false } : page;
        if (all.next !== null) placeOf(all.next);
        placeOf(all.tail);
        pages.parts.push({ replica, from, page: all, taken: 0 });
      } catch (error) {
        pages.refused ??= error;
        pages.failed.push({ replica: replica.name, why: messageOf(error) });
      }
    }),
  );
  pages.parts.sort((a, b) => (a.replica.name < b.replica.name ? -1 : 1));
  return pages;
}

/** The next of each are compared by time. It ends at the limit, or where one may have more before what the others have. */
function merge(parts: readonly Part[], { ascending, limit }: Query): OwnedEntry[] {
  const merged: OwnedEntry[] = [];
  while (merged.length < limit) {
    let best: { readonly part: Part; readonly entry: ReplicaPage['entries'][number] } | undefined;
    for (const part of parts) {
      const entry = part.page.entries[part.taken];
      if (entry === undefined) {
        if (part.page.next !== null) return merged;
        continue;
      }
      const sooner = best === undefined || (ascending ? entry.time < best.entry.time : entry.time > best.entry.time);
      if (sooner) best = { part, entry };
    }
    if (best === undefined) break;
    best.part.taken++;
    merged.push({ ...best.entry, replica: best.part.replica.name });
  }
  return merged;
}

/** An event that several replicas have is listed where the query meets it first. */
function withoutCopies(entries: readonly OwnedEntry[], listed: Listed): OwnedEntry[] {
  return entries.filter((entry) => {
    if (listed.has(entry.replica, entry.shard, entry.seq)) return false;
    for (const { replica, shard, seq } of entry.copies ?? []) listed.add(replica, shard, seq);
    return true;
  });
}

function hasMore({ page, taken }: Part): boolean {
  return taken < page.entries.length || page.next !== null;
}

/** Behind what was merged of it. */
function positionOf({ from, page, taken }: Part, ascending: boolean): Position {
  if (taken === page.entries.length) {
    if (page.next !== null) return placeOf(page.next);
    return ascending ? placeOf(page.tail) : 'end';
  }
  const last = page.entries[taken - 1];
  if (last !== undefined) return { shard: last.shard, seq: last.seq };
  if (from !== undefined) return from;
  // Nothing of it yet: the next page begins with what is its first now, not with what comes before then.
  const { shard, seq } = page.entries[0] as { shard: number; seq: number };
  return { shard, seq: ascending ? seq - 1 : seq + 1 };
}

/** Throws PEER_UNAVAILABLE: a place that a replica gives and that is none. */
export function placeOf(cursor: string): Cursor {
  const place = decodeCursor(cursor);
  if (place === undefined) throw new SealgateError('PEER_UNAVAILABLE', 'it gives a cursor that is none');
  return place;
}

/** This replica first, then by name. */
function statusOf(
  parts: readonly Part[],
  missing: ReadonlyMap<string, Missing>,
  failed: readonly Missing[],
  own: string,
): ReplicaStatus[] {
  const answered = parts.map(({ replica: { name }, page: { current, head, indexed, older } }): ReplicaStatus => {
    const why = failed.find(({ replica }) => replica === name)?.why;
    return { replica: name, answered: true, ...(why === undefined ? {} : { why }), current, head, indexed, older };
  });
  const silent = [...missing.values()].map(({ replica, why }): ReplicaStatus => ({ replica, answered: false, why }));
  const rank = ({ replica }: ReplicaStatus) => `${replica === own ? 0 : 1}${replica}`;
  return [...answered, ...silent].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
