// Streams entries as they come: NDJSON, one entry a line, an empty line now and then as a sign of life.
import { once } from 'node:events';
import type { Request, Response } from 'express';
import type { Cursor } from '../index/cursor.ts';
import { decodeCursor } from '../index/cursor.ts';
import type { IndexLog } from '../index/log.ts';
import { MAX_LIMIT, type Query } from '../index/query.ts';
import type { IndexView } from '../index/view.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { Queries } from './queries.ts';

export interface FollowerOptions {
  readonly queries: Pick<Queries, 'search'>;
  readonly view: Pick<IndexView, 'onAdvance'>;
  readonly log: IndexLog;
  readonly heartbeatMs: number;
}

/** Streams at a time. */
const MAX_FOLLOWERS = 32;

/** Between two looks at the index for one follower, in milliseconds: what came in between is one page. */
const PACE_MS = 200;

/** A client that takes nothing for so long is cut off, in milliseconds. It has one page waiting for it, never more. */
const STALLED_MS = 30_000;

export interface Followers {
  /** Of this replica's ledger. */
  own(query: Query, request: Request, response: Response): Promise<void>;
  /** Counts another stream among them, while it runs. Throws QUERY_UNAVAILABLE. */
  among(run: () => Promise<void>): Promise<void>;
}

export function createFollowers(options: FollowerOptions): Followers {
  let followers = 0;
  const among = async (run: () => Promise<void>): Promise<void> => {
    if (followers >= MAX_FOLLOWERS) {
      throw new SealgateError('QUERY_UNAVAILABLE', `${MAX_FOLLOWERS} clients follow already; end one of them`);
    }
    followers++;
    try {
      await run();
    } finally {
      followers--;
    }
  };
  return { among, own: (query, request, response) => among(() => stream(options, query, request, response)) };
}

async function stream(options: FollowerOptions, query: Query, request: Request, response: Response): Promise<void> {
  const { queries, view, log } = options;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let after = query.after;
  if (after === undefined && query.filter.since === undefined) {
    const { tail } = await queries.search({ filter: {}, ascending: false, limit: 1 });
    after = decodeCursor(tail);
  }
  response.status(200).type('application/x-ndjson');
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.flushHeaders();
  const news = newsOf(view, gone.signal);
  try {
    while (!gone.signal.aborted) {
      const page = await queries.search({ ...query, limit: MAX_LIMIT, ...(after === undefined ? {} : { after }) });
      after = furthest(after, decodeCursor(page.next ?? page.tail));
      const lines = page.entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      if (lines !== '' && !(await write(response, lines, gone.signal))) return;
      if (page.next !== null) continue;
      while (!(await news.within(options.heartbeatMs))) {
        if (!(await write(response, '\n', gone.signal))) return;
      }
    }
  } catch (error) {
    if (gone.signal.aborted) return;
    log.warn({ error: messageOf(error) }, 'a followed query ended');
    const { code, message } =
      error instanceof SealgateError ? error : { code: 'QUERY_UNAVAILABLE', message: 'the query failed' };
    response.end(`${JSON.stringify({ error: { code, message } })}\n`);
  }
}

/** An index that was rebuilt may be behind what was streamed already: that does not come again. */
export function furthest(a: Cursor | undefined, b: Cursor | undefined): Cursor | undefined {
  if (a === undefined || b === undefined) return b ?? a;
  return b.shard > a.shard || (b.shard === a.shard && b.seq > a.seq) ? b : a;
}

/** Resolves to whether the client took it; one that did not is cut off. */
export async function write(response: Response, text: string, gone: AbortSignal): Promise<boolean> {
  if (response.write(text)) return true;
  try {
    await once(response, 'drain', { signal: AbortSignal.any([gone, AbortSignal.timeout(STALLED_MS)]) });
    return true;
  } catch {
    response.destroy();
    return false;
  }
}

interface News {
  /** Whether the index advanced since it was last asked about; at the latest after `ms`, at the earliest after the pace. */
  within(ms: number): Promise<boolean>;
}

function newsOf(view: Pick<IndexView, 'onAdvance'>, gone: AbortSignal): News {
  let advanced = false;
  let wake: () => void = () => undefined;
  const notice = (): void => {
    advanced = true;
    wake();
  };
  const stop = view.onAdvance(notice);
  gone.addEventListener('abort', () => {
    stop();
    notice();
  });
  return {
    async within(ms) {
      await pause(Math.min(PACE_MS, ms), gone);
      if (!advanced) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const news = advanced;
      advanced = gone.aborted;
      return news;
    },
  };
}

export function pause(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      gone.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    gone.addEventListener('abort', done);
  });
}
