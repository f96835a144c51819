// From a full shard to the next: a final checkpoint over every entry, then a new shard that begins with a link to it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { removeUnfinished, shardFileName } from './files.ts';
import { linkEntry } from './link.ts';
import type { FullBecause, ShardLimits } from './messages.ts';
import { type OpenShard, type OpenShardOptions, originOf, storeOptions } from './open-shard.ts';
import { outcomeOf, sqliteCode } from './sqlite-errors.ts';
import { Store } from './store.ts';

/** Which limit makes the shard full. One that holds only its first entry never is: rotating it would lead nowhere. */
export function fullBecause(store: Store, limits: ShardLimits, clock: Clock): FullBecause | undefined {
  if (store.size < 2) return undefined;
  if (store.size >= limits.entries) return 'entries';
  if (store.reaches(limits.bytes)) return 'bytes';
  return clock.now() - store.created >= limits.ageSeconds * 1_000_000 ? 'age' : undefined;
}

/** The next shard could not be made, and nothing has changed: the one that is written takes entries as before. */
export class RotationPostponed extends Error {}

/**
 * Signs the end of the open shard and creates the next one durably. Whoever calls it closes the old store then. A crash
 * before the next shard has its name leaves an ordinary shard that is written on; after that, the old one is never written again.
 * Throws RotationPostponed when the old shard may still be written; any other error means that nothing may be written at all.
 */
export function nextShard(
  current: OpenShard,
  options: OpenShardOptions,
  clock: Clock,
  /** What both keys signed, when `options` has another key than the shard that ends. */
  rotation?: string,
): OpenShard {
  const { store, lock } = current;
  const shard = current.shard + 1;
  const path = join(options.dir, shardFileName(shard));
  try {
    if (store.signedSize < store.size) store.append([], true);
  } catch (error) {
    if (outcomeOf(error) === 'none') throw new RotationPostponed(messageOf(error), { cause: error });
    throw error;
  }
  if (existsSync(path)) {
    throw new SealgateError(
      'LEDGER_CORRUPT',
      `${path} appeared while this process held the writer's lock: nothing more is acknowledged; find out who made it, and run sealgate verify`,
    );
  }
  const { size, last, checkpoint = '' } = store;
  const { logName: log, vkey, version } = options;
  const next = storeOptions(options, shard, path, lock, clock);
  try {
    removeUnfinished(options.dir);
    const end = { shard: current.shard, size, last, checkpoint };
    const link = linkEntry(originOf(log, shard), vkey, version, end, rotation);
    Store.create(next, { shard, log, version }, link);
  } catch (error) {
    // Under its name it may be durable or not: then only a start can tell which shard is the newest.
    if (existsSync(path) || isDiskError(error)) throw error;
    discardDraft(options.dir);
    throw new RotationPostponed(messageOf(error), { cause: error });
  }
  return { ...current, store: Store.open(next), shard, path };
}

/** A disk that fails on one file is not to be trusted with the other. */
function isDiskError(error: unknown): boolean {
  const cause = error instanceof SealgateError ? (error.cause ?? error) : error;
  if (sqliteCode(cause) !== undefined) return /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(sqliteCode(cause) ?? '');
  return cause instanceof SealgateError || (cause instanceof Error && 'code' in cause && cause.code === 'EIO');
}

/** It may hold the space that there is none of. What cannot be removed now is removed before the next try. */
function discardDraft(dir: string): void {
  try {
    removeUnfinished(dir);
  } catch {
    // The error that made it a leftover is the one to report.
  }
}
