// Decides which shard leaves the volume: the oldest one, when its time here has passed and all of it was read back from the store.
// Removes nothing itself. Whatever is not as it should be keeps the shard, and is said.
import { listShards } from '../ledger/files.ts';
import { isSealed } from '../ledger/seal.ts';
import { TreeReader } from '../ledger/tree-reader.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { timeOf } from './judge.ts';
import type { LockExpectation } from './lock-check.ts';
import type { MirrorLog } from './log.ts';
import { readBack } from './read-back.ts';
import type { ObjectStore } from './stores/store.ts';

/** A shard that was read back whole. */
export interface VerifiedShard {
  readonly shard: number;
  readonly size: number;
  /** Root hash in hex. */
  readonly root: string;
  readonly url: string;
  /** When, milliseconds since the epoch. */
  readonly at: number;
}

export interface LocalRetentionOptions {
  readonly ledgerDir: string;
  /** Days that a shard stays after its last entry; above 0. */
  readonly days: number;
  /** Opened for each shard that is read back, and closed. */
  readonly openStore: () => ObjectStore;
  readonly locks: LockExpectation | undefined;
  /** Whether the store has all of a shard, as far as pushing it tells. */
  readonly isComplete: (shard: number) => boolean;
  /** What keeps the mirror from being relied on now. */
  readonly trouble: () => { readonly code: ErrorCode; readonly message: string } | undefined;
  /** Resolves when the shard was removed; rejects when it was not. */
  readonly remove: (verified: VerifiedShard) => Promise<void>;
  readonly log: MirrorLog;
  readonly signal: AbortSignal;
  /** Microseconds by the wall clock. */
  readonly wall: () => number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
}

export interface LocalRetentionStatus {
  /** Number of the oldest shard on the volume. */
  readonly oldest: number;
  /** Shards that are past their time and still here. */
  readonly due: number;
  /** The last shard that was read back whole, and when, milliseconds since the epoch. */
  readonly verified?: { readonly shard: number; readonly at: number };
  /** Why the oldest one stays although its time has passed. */
  readonly kept?: { readonly shard: number; readonly code: ErrorCode; readonly why: string };
}

const DAY_US = 86_400_000_000;
/** Between two looks at the folder. */
const LOOK_MS = 5000;
/** Before a shard that has to stay is read back again, and before the same reason is said again. */
const RETRY_MS = 600_000;
/** Bundles read ahead: reading back is in no hurry. */
const PARALLEL = 2;

interface Shard {
  readonly number: number;
  readonly path: string;
}

/** Owned by the mirror's thread; reads one shard back at a time. */
export class LocalRetention {
  readonly #options: LocalRetentionOptions;
  /** When the last entry of a full shard was written, microseconds. */
  readonly #ends = new Map<number, number>();
  #status: LocalRetentionStatus | undefined;
  #running = false;
  #lookAt = Number.NEGATIVE_INFINITY;
  #readAt = Number.NEGATIVE_INFINITY;
  #said = { text: '', at: Number.NEGATIVE_INFINITY };

  constructor(options: LocalRetentionOptions) {
    this.#options = options;
  }

  /** Undefined before the first look. */
  get status(): LocalRetentionStatus | undefined {
    return this.#status;
  }

  /** Looks, when it is time to, and removes what may go. Never rejects. One at a time; others return at once. */
  async look(): Promise<void> {
    const { now, signal } = this.#options;
    if (this.#running || signal.aborted || now() < this.#lookAt) return;
    this.#running = true;
    try {
      while (await this.#next());
    } catch (error) {
      if (!signal.aborted) this.#keep(this.#status?.oldest ?? 0, codeOf(error), messageOf(error));
    } finally {
      this.#lookAt = now() + LOOK_MS;
      this.#running = false;
    }
  }

  /** Removes the oldest shard if it may go, and says whether it did. */
  async #next(): Promise<boolean> {
    const { ledgerDir, isComplete, trouble, now } = this.#options;
    const shards = listShards(ledgerDir);
    const [oldest] = shards;
    if (oldest === undefined) return false;
    const due = this.#due(shards);
    const { verified, kept } = this.#status ?? {};
    this.#status = {
      oldest: oldest.number,
      due,
      ...(verified === undefined ? {} : { verified }),
      ...(kept === undefined || due === 0 ? {} : { kept }),
    };
    // A reader that holds it keeps it from being sealed, which has an alarm of its own.
    if (due === 0 || !isSealed(oldest.path)) return false;
    const found = trouble();
    if (found !== undefined) return this.#keep(oldest.number, found.code, found.message);
    if (!isComplete(oldest.number)) {
      return this.#keep(oldest.number, 'MIRROR_LAGGING', 'the mirror does not have all of it yet');
    }
    if (now() < this.#readAt) return false;
    return await this.#readAndRemove(oldest);
  }

  async #readAndRemove(shard: Shard): Promise<boolean> {
    const { ledgerDir, openStore, locks, remove, log, signal, wall, now } = this.#options;
    // Whatever comes of it, unless the shard goes: not again at once.
    this.#readAt = now() + RETRY_MS;
    const store = openStore();
    try {
      const nowMs = wall() / 1000;
      const found = await readBack(store, { ledgerDir, shard, locks, nowMs, parallel: PARALLEL, signal });
      if (!found.whole) return this.#keep(shard.number, 'MIRROR_NOT_WHOLE', `${store.url}: ${found.why}`);
      const { size, root } = found;
      const at = wall() / 1000;
      this.#status = { ...(this.#status ?? { oldest: shard.number, due: 1 }), verified: { shard: shard.number, at } };
      await remove({ shard: shard.number, size, root, url: store.url, at });
      log('info', { shard: shard.number, size, store: store.url }, 'a shard left the volume: the mirror has all of it');
    } finally {
      store.close();
    }
    this.#readAt = Number.NEGATIVE_INFINITY;
    this.#ends.delete(shard.number);
    this.#status = { ...this.#status, oldest: shard.number + 1, due: Math.max(0, (this.#status?.due ?? 1) - 1) };
    const { kept: _, ...rest } = this.#status;
    this.#status = rest;
    return true;
  }

  /** How many of the oldest shards are past their time; the newest and the one before it never are. */
  #due(shards: readonly Shard[]): number {
    const before = this.#options.wall() - this.#options.days * DAY_US;
    const newest = shards.at(-1)?.number ?? 0;
    let count = 0;
    for (const shard of shards) {
      if (shard.number > newest - 2 || this.#endOf(shard) > before) break;
      count += 1;
    }
    return count;
  }

  /** A shard whose end cannot be told has not ended. */
  #endOf({ number, path }: Shard): number {
    const known = this.#ends.get(number);
    if (known !== undefined) return known;
    const reader = TreeReader.open(path);
    try {
      const end = timeOf(reader, reader.size() - 1) ?? Number.POSITIVE_INFINITY;
      this.#ends.set(number, end);
      return end;
    } finally {
      reader.close();
    }
  }

  #keep(shard: number, code: ErrorCode, why: string): false {
    const { log, now } = this.#options;
    this.#status = { ...(this.#status ?? { oldest: shard, due: 1 }), kept: { shard, code, why } };
    const text = `${shard} ${code}`;
    if (text === this.#said.text && now() < this.#said.at + RETRY_MS) return false;
    this.#said = { text, at: now() };
    log('error', { shard, code, error: why }, 'a shard stays on the volume although its time has passed');
    return false;
  }
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof SealgateError ? error.code : 'INTERNAL';
}
