// The contents that the key `checkpoint` has had: whoever may write to the store can put an older one back on top, and then
// only an older version tells how far the history was.
import { SealgateError } from '../lib/errors.ts';
import { MAX_CHECKPOINT_BYTES } from './judge.ts';
import type { ObjectStore } from './stores/store.ts';

/** How many of the newest versions are all read. Of older ones, four in each doubling of the distance. */
const ALL_OF_NEWEST = 16;
/** How far back it is looked: a bound on what a start costs, about six hours of pushes at the usual interval. */
const MAX_LISTED = 2048;

/**
 * Versions of the key, newest first: the newest ones, and with growing steps older ones, so that many that were put on top do
 * not hide what is below. Objects too large for a checkpoint are left out. Throws what the store throws.
 */
export async function checkpointVersions(store: ObjectStore, key: string): Promise<Buffer[]> {
  const names: string[] = [];
  let place = 0;
  for await (const one of store.versions(key)) {
    // `checkpoint` is the beginning of `checkpoints/…`, too, which come after it.
    if (one.key !== key || place >= MAX_LISTED) break;
    if (one.deleteMarker) continue;
    if (isRead(place) && one.size <= MAX_CHECKPOINT_BYTES) names.push(one.version);
    place += 1;
  }
  const found: Buffer[] = [];
  for (const version of names) {
    const bytes = await read(store, key, version);
    if (bytes !== undefined) found.push(bytes);
  }
  return found;
}

function isRead(place: number): boolean {
  return place < ALL_OF_NEWEST || place % (2 ** Math.floor(Math.log2(place)) / 4) === 0;
}

async function read(store: ObjectStore, key: string, version: string): Promise<Buffer | undefined> {
  try {
    return await store.get(key, { version, maxBytes: MAX_CHECKPOINT_BYTES });
  } catch (error) {
    if (error instanceof SealgateError && error.code === 'MIRROR_OBJECT_TOO_LARGE') return undefined;
    throw error;
  }
}
