import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { AnsweredPage } from '../../../src/api/query-protocol.ts';
import { type OwnParts, ownReplica } from '../../../src/api/replica.ts';

/** A replica with nothing to give; `advance` is news to whoever waits. */
function idleReplica() {
  const heard = new Set<() => void>();
  let searches = 0;
  const page = { entries: [], next: null } as unknown as AnsweredPage;
  const parts: OwnParts = {
    name: 'sealgate-0',
    queries: {
      search: () => {
        searches++;
        return Promise.resolve(page);
      },
      lookUp: () => Promise.reject(new Error('not asked')),
      entry: () => Promise.reject(new Error('not asked')),
    },
    view: {
      reached: () => Promise.resolve(true),
      onAdvance: (listener) => {
        heard.add(listener);
        return () => heard.delete(listener);
      },
    },
    head: () => ({ shard: 0, size: 0 }),
  };
  const advance = () => {
    for (const listener of heard) listener();
  };
  return { replica: ownReplica(parts), advance, waiting: () => heard.size, searches: () => searches };
}

const QUERY = { filter: {}, ascending: true, limit: 1 } as const;

describe("a replica's own ledger", () => {
  it('leaves nothing behind of a question that waited, however many a stream asks under one signal', async () => {
    const { replica, advance, waiting, searches } = idleReplica();
    const stream = new AbortController();
    for (let asked = 0; asked < 20; asked++) {
      const answer = replica.search(QUERY, { waitMs: 60_000, signal: stream.signal });
      await expect.poll(() => getEventListeners(stream.signal, 'abort').length).toBe(1);
      advance();
      await answer;
    }
    expect(searches()).toBe(40);
    expect(getEventListeners(stream.signal, 'abort')).toEqual([]);
    expect(waiting()).toBe(0);
  });

  it('answers a question that waits when whoever asked has gone', async () => {
    const { replica } = idleReplica();
    const stream = new AbortController();
    const answer = replica.search(QUERY, { waitMs: 600_000, signal: stream.signal });
    await expect.poll(() => getEventListeners(stream.signal, 'abort').length).toBe(1);
    stream.abort();
    expect((await answer).entries).toEqual([]);
  });
});
