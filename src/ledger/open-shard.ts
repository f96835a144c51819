// From a folder to a store that can be appended to: lock, recovery or creation, and the `start` entry that says what was found.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { createSigner } from '../tlog/note.ts';
import { createVerifier } from '../tlog/verifier.ts';
import type { Append } from './entry.ts';
import {
  fsyncAncestors,
  listShards,
  refuseNetworkFileSystem,
  refuseOrphanedWal,
  removeUnfinished,
  shardFileName,
} from './files.ts';
import { checkNewestLink } from './link.ts';
import { acquireLock, type WriterLock } from './lock.ts';
import type { Recovery } from './messages.ts';
import { checkRemoved } from './removal.ts';
import { sealOlder, undoInterrupted } from './seal.ts';
import { openError } from './sqlite-errors.ts';
import { Store, type StoreOptions } from './store.ts';

export interface OpenShardOptions {
  readonly dir: string;
  readonly logName: string;
  readonly vkey: string;
  /** Raw Ed25519 seed. */
  readonly privateKey: Uint8Array;
  /** Of Sealgate, and a digest of its settings: what the `start` entry says about the process. */
  readonly version: string;
  readonly settingsDigest: string;
  /** Whether the history here was compared with a mirror's before it was opened; undefined when there is none. */
  readonly mirror?: Recovery['mirror'];
}

export interface OpenShard {
  readonly store: Store;
  readonly lock: WriterLock;
  readonly shard: number;
  readonly path: string;
  readonly recovery: Recovery;
  /** Older shards that a reader keeps from being sealed. */
  readonly unsealed: readonly string[];
}

/** `<log name>/<shard>` */
export function originOf(logName: string, shard: number): string {
  return `${logName}/${shard}`;
}

/**
 * Opens the newest shard of the folder for appending, its link to the one before checked, or creates shard 0; both folder and shard are created durably. When
 * it returns, a `start` entry is committed and signed. Throws every LEDGER_… code of opening, the lock released again.
 */
export function openShard(options: OpenShardOptions, clock: Clock): OpenShard {
  const { dir } = options;
  prepareFolder(dir);
  const lock = acquireLock(dir);
  try {
    removeUnfinished(dir);
    refuseOrphanedWal(dir);
    const shards = listShards(dir);
    const newest = shards.at(-1);
    const shard = newest?.number ?? 0;
    const path = newest?.path ?? join(dir, shardFileName(shard));
    const store = storeOptions(options, shard, path, lock, clock);
    if (newest === undefined) {
      const recovery: Recovery = { clean: true, entries: 0, unsigned: 0, ...compared(options) };
      // Every time, not only after mkdir: the process that made the folder may have been killed before it got here.
      fsyncAncestors(dir);
      Store.create(
        store,
        { shard, log: options.logName, version: options.version },
        startEntry(options, shard, recovery),
      );
      return { store: Store.open(store), lock, shard, path, recovery, unsealed: [] };
    }
    requireWritable(path);
    const older = shards.slice(0, -1);
    undoInterrupted(older);
    checkNewestLink(dir, shards, (link) => checkRemoved(dir, shards, link));
    const unsealed = sealOlder(older);
    const opened = Store.open(store);
    const recovery: Recovery = {
      clean: opened.lastKind === 'stop',
      entries: opened.size,
      unsigned: opened.size - opened.signedSize,
      ...compared(options),
    };
    appendStart(opened, path, startEntry(options, shard, recovery));
    return { store: opened, lock, shard, path, recovery, unsealed };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** What `recovery` says of the mirror. */
export function compared({ mirror }: OpenShardOptions): Pick<Recovery, 'mirror'> {
  return mirror === undefined ? {} : { mirror };
}

/** How a shard of the ledger is opened or created. */
export function storeOptions(
  { logName, privateKey, vkey }: OpenShardOptions,
  shard: number,
  path: string,
  lock: WriterLock,
  clock: Clock,
): StoreOptions {
  return {
    path,
    origin: originOf(logName, shard),
    signer: createSigner(logName, privateKey),
    verifier: createVerifier(vkey),
    clock,
    watch: [lock.path],
  };
}

export function appendStart(store: Store, path: string, entry: Append): void {
  try {
    store.append([entry], true);
  } catch (error) {
    store.release();
    throw openError(error, path);
  }
}

export function startEntry(options: OpenShardOptions, shard: number, recovery: Recovery): Append {
  const { logName, vkey, version, settingsDigest } = options;
  const body = { origin: originOf(logName, shard), vkey, version, settings: settingsDigest, recovery };
  return { kind: 'start', body: Buffer.from(JSON.stringify(body), 'utf8') };
}

export function prepareFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw readOnly(dir, 'cannot be created', error);
  }
  requireWritable(dir);
  refuseNetworkFileSystem(dir);
}

function requireWritable(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw readOnly(path, 'cannot be written', error);
  }
}

function readOnly(path: string, what: string, cause: unknown): SealgateError {
  const text = `${path} ${what}: check its owner and mode and that its volume is not mounted read-only (${messageOf(cause)})`;
  return new SealgateError('LEDGER_READ_ONLY', text, { cause });
}
