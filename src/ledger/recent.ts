// The newest entries of a ledger, found without reading the older ones.
import type { Micros } from '../lib/clock.ts';
import { parseMicros } from '../lib/clock.ts';
import type { Entry, LedgerReader } from './reader.ts';

/**
 * The entries of a shard whose time is `since` or later, at most the newest `limit`, oldest first. Times rise with seq unless
 * the clock was stepped back; then some may be missing or too many: for what is only a memory of what came last.
 */
export function entriesSince(
  reader: Pick<LedgerReader, 'head' | 'get' | 'entries'>,
  shard: number,
  since: Micros,
  limit: number,
): Iterable<Entry> {
  const end = reader.head(shard);
  let low = Math.max(0, end - limit);
  for (let high = end; low < high; ) {
    const middle = Math.floor((low + high) / 2);
    const time = parseMicros(reader.get(shard, middle)?.leaf.time ?? '');
    if (time !== undefined && time >= since) high = middle;
    else low = middle + 1;
  }
  return reader.entries(shard, low, end);
}

/** As entriesSince, over the shard and the one before it: right after a rotation the newest entries are in that. */
export function* newestSince(
  reader: Pick<LedgerReader, 'head' | 'get' | 'entries'>,
  shard: number,
  since: Micros,
  limit: number,
): Generator<Entry, void, undefined> {
  const room = limit - reader.head(shard);
  if (shard > 0 && room > 0) yield* entriesSince(reader, shard - 1, since, room);
  yield* entriesSince(reader, shard, since, limit);
}
