// Opens the ledger where the shards in the folder are not the history that is known elsewhere: nothing of them is touched, and a
// new shard begins whose first entry says what was found and links to what is known.
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { fsyncAncestors, listShards, removeUnfinished, shardFileName } from './files.ts';
import { breakEntry, type LedgerBreak } from './link.ts';
import { acquireLock } from './lock.ts';
import type { Recovery } from './messages.ts';
import {
  appendStart,
  compared,
  type OpenShard,
  type OpenShardOptions,
  originOf,
  prepareFolder,
  startEntry,
  storeOptions,
} from './open-shard.ts';
import { Store } from './store.ts';

/** Throws LEDGER_ROLLED_BACK when the folder has newer shards than the history that is known: then no number is free. */
export function openAfterBreak(options: OpenShardOptions, broken: LedgerBreak, clock: Clock): OpenShard {
  const { dir, logName: log, vkey, version } = options;
  prepareFolder(dir);
  const lock = acquireLock(dir);
  try {
    removeUnfinished(dir);
    const shard = broken.previous.shard + 1;
    const newest = listShards(dir).at(-1)?.number ?? -1;
    if (newest >= shard) {
      throw new SealgateError(
        'LEDGER_ROLLED_BACK',
        `${dir}: ${broken.why}; and there are shards up to ${newest} that were written after it. Move the ledger away as evidence and start with an empty folder, or restore it from the mirror`,
      );
    }
    const path = join(dir, shardFileName(shard));
    const store = storeOptions(options, shard, path, lock, clock);
    fsyncAncestors(dir);
    Store.create(store, { shard, log, version }, breakEntry(originOf(log, shard), vkey, version, broken));
    const opened = Store.open(store);
    const recovery: Recovery = { clean: true, entries: opened.size, unsigned: 0, ...compared(options) };
    appendStart(opened, path, startEntry(options, shard, recovery));
    return { store: opened, lock, shard, path, recovery, unsealed: [] };
  } catch (error) {
    lock.release();
    throw error;
  }
}
