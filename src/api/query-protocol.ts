// What the main thread and a query thread say to each other: one question at a time, one answer each.
import type { LookedUp, Lookup } from '../index/lookup.ts';
import type { Query } from '../index/query.ts';
import type { FoundEntry, Page } from '../index/search.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { EntryDetail } from './detail.ts';
import type { OlderHistory } from './older-history.ts';
import type { TlogFile } from './tlog-file.ts';

export interface QueryThreadData {
  readonly ledgerDir: string;
  readonly indexFile: string;
  /** What checkpoints are checked with. */
  readonly vkey: string;
}

export type Question =
  | { readonly type: 'search'; readonly query: Query; readonly softLimitMs: number }
  | { readonly type: 'entry'; readonly shard: number | undefined; readonly seq: number }
  /** What another replica asks about entries of its own. */
  | { readonly type: 'lookup'; readonly lookup: Lookup }
  /** What lies at a path below /tlog/. */
  | { readonly type: 'tlog'; readonly path: string };

/** The entry, and how a list would show it (null while the index does not hold it). */
export interface EntryAnswer {
  readonly detail: EntryDetail;
  readonly found: FoundEntry | null;
}

export interface Asked {
  readonly question: Question;
  /** Of the index file: when it has changed, the file was replaced. */
  readonly generation: number;
}

/** A page, and what the query also is about but is not here. */
export interface AnsweredPage extends Page {
  readonly older: OlderHistory | null;
}

export type Answer =
  | { readonly type: 'page'; readonly page: AnsweredPage }
  | { readonly type: 'entry'; readonly entry: EntryAnswer | null }
  | { readonly type: 'lookup'; readonly found: LookedUp }
  | { readonly type: 'tlog'; readonly file: TlogFile | undefined }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string; readonly damaged: boolean };
