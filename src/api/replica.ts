// A replica as a query sees it, be it this one or another: the interface, and this one.
import type { LookedUp, Lookup } from '../index/lookup.ts';
import type { Query } from '../index/query.ts';
import type { IndexView } from '../index/view.ts';
import type { Queries } from './queries.ts';
import type { AnsweredPage, EntryAnswer } from './query-protocol.ts';

/** A page of one replica, and how far that one is. */
export interface ReplicaPage extends AnsweredPage {
  /** Whether the index held everything that was on record when it was asked. */
  readonly current: boolean;
  readonly head: { readonly shard: number; readonly size: number };
}

export interface Wait {
  /** With nothing to give, it waits so long for something. */
  readonly waitMs?: number;
  /** A search gives what it has found after so long. */
  readonly softLimitMs?: number;
  readonly signal?: AbortSignal;
}

/** What can be asked. Each call rejects with a SealgateError that says why there is no answer. */
export interface Replica {
  /** `<replica>` of its log's name. */
  readonly name: string;
  search(query: Query, wait?: Wait): Promise<ReplicaPage>;
  lookUp(lookup: Lookup): Promise<LookedUp>;
  /** null when its ledger has no such entry; without a shard, of the newest. */
  entry(shard: number | undefined, seq: number): Promise<EntryAnswer | null>;
}

export interface OwnParts {
  readonly name: string;
  readonly queries: Pick<Queries, 'search' | 'lookUp' | 'entry'>;
  readonly view: Pick<IndexView, 'reached' | 'onAdvance'>;
  readonly head: () => { readonly shard: number; readonly size: number };
}

/** How long a query waits for the index to hold what the ledger held when it was asked, in milliseconds. */
export const CATCH_UP_MS = 1000;

export function ownReplica({ name, queries, view, head }: OwnParts): Replica {
  /** Everything that is on record now is to be in the answer. */
  const caughtUp = async (): Promise<Pick<ReplicaPage, 'current' | 'head'>> => {
    const { shard, size } = head();
    return { current: await view.reached({ shard, size }, CATCH_UP_MS), head: { shard, size } };
  };
  const look = async (query: Query, softLimitMs: number | undefined): Promise<ReplicaPage> => {
    const how = await caughtUp();
    return { ...(await queries.search(query, softLimitMs)), ...how };
  };
  return {
    name,
    async search(query, { waitMs = 0, softLimitMs, signal } = {}) {
      const news = newsOf(view);
      try {
        const page = await look(query, softLimitMs);
        if (waitMs === 0 || page.entries.length > 0 || page.next !== null) return page;
        await news.within(waitMs, signal);
        return await look(query, softLimitMs);
      } finally {
        news.end();
      }
    },
    async lookUp(lookup) {
      await caughtUp();
      return await queries.lookUp(lookup);
    },
    async entry(shard, seq) {
      const { head: now } = await caughtUp();
      return await queries.entry(shard ?? now.shard, seq);
    },
  };
}

/** Hears of what came since it was made. */
function newsOf(view: Pick<IndexView, 'onAdvance'>): {
  within(ms: number, signal: AbortSignal | undefined): Promise<void>;
  end(): void;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  const heard = (): void => resolve();
  const end = view.onAdvance(heard);
  return {
    async within(ms, signal) {
      const timer = setTimeout(heard, ms);
      signal?.addEventListener('abort', heard);
      if (signal?.aborted !== true) await promise;
      clearTimeout(timer);
      // A stream has one signal for all of its questions.
      signal?.removeEventListener('abort', heard);
    },
    end,
  };
}
