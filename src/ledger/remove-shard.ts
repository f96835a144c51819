// Removes the oldest shard of a ledger that is being written, once whoever keeps its copy agrees. The entry that says so is
// on disk and signed before the file goes; a crash in between leaves the file, and the next attempt removes it.
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SealgateError } from '../lib/errors.ts';
import type { Appended } from './entry.ts';
import { fsyncPath, listShards } from './files.ts';
import type { Ledger } from './ledger.ts';
import { checkLinked, type ShardEnd } from './link.ts';
import { type KeptCopy, pointToRemoval, removalEntry } from './removal.ts';
import { isSealed } from './seal.ts';

/** Whether the shard that ends so may go: true only when a copy of all of it is kept where nobody can take it away. */
export type RemovalCondition = (end: ShardEnd) => boolean | Promise<boolean>;

export const never: RemovalCondition = () => false;

/** What is used of the ledger. */
export type RemovalLedger = Pick<Ledger, 'dir' | 'shard' | 'head' | 'append'>;

/** Between two looks at whether the entry is signed, which takes one checkpoint interval (at most a minute), and how many there are. */
const SIGNED_POLL_MS = 50;
const SIGNED_POLLS = 2400;

/**
 * Removes shard `number`, which has to be the oldest, sealed, and older than the one before the newest. Resolves with where
 * the `removal` entry is, which also says where the `copy` is. Rejects with LEDGER_REMOVAL_REFUSED when it may not go, LEDGER_CORRUPT when it does not end as its
 * successor says, and as Ledger.append; then the file is still there. One call at a time.
 */
export async function removeShard(
  ledger: RemovalLedger,
  number: number,
  condition: RemovalCondition = never,
  copy?: KeptCopy,
): Promise<Appended> {
  const { dir } = ledger;
  const [oldest, next] = listShards(dir);
  const refuse = (why: string): SealgateError =>
    new SealgateError('LEDGER_REMOVAL_REFUSED', `shard ${number} of ${dir} is not removed: ${why}`);
  if (oldest === undefined || next === undefined || oldest.number !== number)
    throw refuse(`only the oldest one can be, which is shard ${oldest?.number ?? 0}`);
  if (number > ledger.shard - 2) throw refuse('the newest shard and the one before it stay');
  if (!isSealed(oldest.path)) throw refuse('it is not sealed yet');
  const end = checkLinked(next, oldest);
  if (!(await condition(end))) throw refuse('what keeps its copy does not vouch for it');
  const [landed] = await ledger.append('decision', [removalEntry(end, copy)]);
  if (landed === undefined) throw new SealgateError('LEDGER_WRITE_FAILED', 'the ledger named no entry');
  await signed(ledger, landed);
  pointToRemoval(dir, landed);
  for (const suffix of ['-wal', '-shm', '-journal', '']) {
    if (existsSync(oldest.path + suffix)) rmSync(oldest.path + suffix);
  }
  fsyncPath(dir);
  return landed;
}

/** Resolves when a checkpoint covers the entry: only then does it count. */
async function signed(ledger: RemovalLedger, { shard, seq }: Appended): Promise<void> {
  for (let i = 0; i < SIGNED_POLLS; i++) {
    const head = ledger.head();
    if (head.shard > shard || head.signedSize > seq) return;
    await sleep(SIGNED_POLL_MS);
  }
  const text = `no checkpoint covers entry ${shard}/${seq}, which says that a shard was removed: the shard stays; look for what keeps the ledger from being written`;
  throw new SealgateError('LEDGER_WRITE_FAILED', text);
}
