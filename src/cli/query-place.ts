// How a person names one entry: by its number, with its shard or its replica before it, or as annotations and leaves name it.
import { UsageError } from './failure.ts';

export interface NamedEntry {
  /** `<seq>` or `<shard>/<seq>`, as the API's path has it. */
  readonly place: string;
  /** Name of the replica, or of its log; absent for the one that is asked. */
  readonly replica?: string;
}

/** Replica or log, shard, seq, and a leaf hash that is not needed. */
const ENTRY = /^(?:(?:([^:]+)\/)?(\d{1,15})[/:])?(\d{1,15})(?::[0-9a-f]{64})?$/;

/**
 * `12`, `0/12`, `sealgate-1/0/12`, or an origin with the number behind a colon, a slash or as `seq`: what stands behind
 * it (the leaf hash of an annotation) is passed over, because the answer has it. Throws UsageError.
 */
export function parsePlace(entry: string, seq: string | undefined): NamedEntry {
  const text = seq === undefined ? entry : `${entry.replace(/\/$/, '')}:${seq}`;
  const [, replica, shard, number] = ENTRY.exec(text) ?? [];
  const good = number !== undefined && (replica === undefined || /^[A-Za-z0-9._/-]+$/.test(replica));
  if (!good) {
    throw new UsageError(
      `${text} is not an entry: give its seq, <shard>/<seq>, <replica>/<shard>/<seq> or <origin> <seq>; filters are flags (--name ${entry}?)`,
    );
  }
  const place = shard === undefined ? number : `${shard}/${number}`;
  return { place, ...(replica === undefined ? {} : { replica }) };
}
