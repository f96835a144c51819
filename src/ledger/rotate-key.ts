// Opens the ledger for writing under its key, and when the newest shard is still signed by the one before, ends that shard
// with a `key` entry and begins the next under the new key.
import type { Clock } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { keyEntry, type SigningKey, signRotation } from './key-rotation.ts';
import { type OpenShard, type OpenShardOptions, openShard } from './open-shard.ts';
import { nextShard } from './rotate.ts';
import { openError } from './sqlite-errors.ts';

export interface OpenKeyedOptions extends OpenShardOptions {
  /** The key that signed before this one, when a rotation is under way or was completed with the old key left in place. */
  readonly previousKey?: SigningKey | undefined;
}

/**
 * openShard, and the rotation of the key where one is due. A crash at any point of it is made good by the next start: until
 * the next shard has its name the old key's shard is the newest, and the rotation is begun again. Throws as openShard, and
 * LEDGER_WRITE_FAILED when there is no space for the next shard.
 */
export function openKeyed({ previousKey, ...options }: OpenKeyedOptions, clock: Clock): OpenShard {
  try {
    return openShard(options, clock);
  } catch (error) {
    if (previousKey === undefined || !isWrongKey(error)) throw error;
  }
  const { vkey, privateKey } = previousKey;
  const opened = openShard({ ...options, vkey, privateKey }, clock);
  try {
    const next: SigningKey = { name: options.logName, vkey: options.vkey, privateKey: options.privateKey };
    const rotation = signRotation(previousKey, next, opened.shard + 1);
    opened.store.append([keyEntry(previousKey, next, rotation)], true);
    const rotated = nextShard(opened, options, clock, rotation);
    opened.store.release();
    return { ...rotated, unsealed: [...rotated.unsealed, opened.path] };
  } catch (error) {
    opened.store.release();
    opened.lock.release();
    throw openError(error, opened.path);
  }
}

function isWrongKey(error: unknown): boolean {
  return error instanceof SealgateError && error.code === 'LEDGER_WRONG_KEY';
}
