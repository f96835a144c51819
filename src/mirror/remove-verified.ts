// The main thread's part in a shard's leaving: what the mirror's thread has read back is removed through the ledger, if it still
// is what ends there and nothing is wrong with the mirror by then.
import type { ShardEnd } from '../ledger/link.ts';
import type { KeptCopy } from '../ledger/removal.ts';
import type { RemovalCondition } from '../ledger/remove-shard.ts';
import { formatMicros } from '../lib/clock.ts';
import { parseCheckpoint } from '../tlog/checkpoint.ts';
import { parseNote } from '../tlog/note.ts';
import type { VerifiedShard } from './local-retention.ts';
import type { MirrorStatus } from './protocol.ts';

/** As removeShard, of the ledger that is written. */
export type RemoveShard = (shard: number, condition: RemovalCondition, copy: KeptCopy) => Promise<unknown>;

/** Rejects as removeShard does. */
export async function removeVerified(
  remove: RemoveShard,
  verified: VerifiedShard,
  status: () => Pick<MirrorStatus, 'diverged' | 'problem'> | undefined,
): Promise<void> {
  const sound = (): boolean => {
    const now = status();
    return now !== undefined && now.diverged.length === 0 && now.problem === undefined;
  };
  const copy = { store: verified.url, verified: formatMicros(Math.floor(verified.at * 1000)) };
  await remove(verified.shard, (end) => sound() && isEnd(end, verified), copy);
}

function isEnd({ shard, size, checkpoint }: ShardEnd, verified: VerifiedShard): boolean {
  const signed = parseCheckpoint(parseNote(checkpoint).text);
  return (
    shard === verified.shard &&
    size === verified.size &&
    signed.size === size &&
    Buffer.from(signed.root).toString('hex') === verified.root
  );
}
