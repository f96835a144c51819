// Pushes a ledger, shard after shard from the oldest that is not complete in the store. One round at a time; nothing that it
// holds grows with what is left to push.
import { listShards } from '../ledger/files.ts';
import { TreeReader } from '../ledger/tree-reader.ts';
import { SealgateError } from '../lib/errors.ts';
import { timeOf } from './judge.ts';
import type { MirrorLog } from './log.ts';
import { MirrorClosing } from './patience.ts';
import { type Pushed, ShardPush, type ShardPushOptions } from './shard-push.ts';
import type { Uploader } from './uploader.ts';

export interface LedgerPushOptions {
  readonly ledgerDir: string;
  readonly uploader: Uploader;
  readonly log: MirrorLog;
  readonly onPushed: (pushed: Pushed) => void;
  readonly cosign?: ShardPushOptions['cosign'];
  readonly renewal?: ShardPushOptions['renewal'];
}

/** How far the mirror is behind the ledger. */
export interface Progress {
  readonly shard: number;
  readonly pushed: number;
  readonly behind: number;
  readonly oldest?: number;
}

interface ShardPath {
  readonly number: number;
  readonly path: string;
}

export class LedgerPush {
  readonly #options: LedgerPushOptions;
  /** The shards that are not complete and were looked at. */
  readonly #shards = new Map<number, ShardPush>();
  readonly #diverged = new Set<number>();
  /** Sealed shards that are whole in the store. */
  readonly #complete = new Set<number>();
  /** Entries that a shard had when it was first looked at: until the store answers, what came since is what it surely lacks. */
  readonly #baseline = new Map<number, number>();

  constructor(options: LedgerPushOptions) {
    this.#options = options;
  }

  get diverged(): readonly number[] {
    return [...this.#diverged];
  }

  /** Whether a sealed shard is whole in the store, as of the last look at it. */
  isComplete(shard: number): boolean {
    return this.#complete.has(shard);
  }

  /**
   * Pushes what is new: full tiles, and with `finish` a checkpoint. Rejects with MirrorClosing and what reading the ledger throws; an
   * older shard that cannot be read keeps no later one from being pushed.
   */
  async round(finish: boolean): Promise<void> {
    const shards = listShards(this.#options.ledgerDir);
    const newest = shards.at(-1)?.number ?? -1;
    let damaged: { readonly error: unknown } | undefined;
    for (const { number, path } of shards) {
      if (this.#complete.has(number) || this.#diverged.has(number)) continue;
      try {
        await this.#pushShard(number, path, shards, finish);
      } catch (error) {
        if (error instanceof MirrorClosing || number === newest) throw error;
        damaged ??= { error };
      }
    }
    if (damaged !== undefined) throw damaged.error;
  }

  async #pushShard(number: number, path: string, shards: readonly ShardPath[], finish: boolean): Promise<void> {
    const sealed = number < (shards.at(-1)?.number ?? -1);
    if (sealed && (await this.#known(number, shards))) {
      this.#completed(number);
      return;
    }
    if (this.#diverged.has(number)) return;
    await this.#visit(number, path, (push, reader) => push.push(reader, finish || sealed, sealed));
    if (sealed && !this.#diverged.has(number)) this.#completed(number);
  }

  /** As of now. Throws what reading the ledger throws. */
  progress(): Progress {
    const shards = listShards(this.#options.ledgerDir);
    const newest = shards.at(-1)?.number ?? 0;
    let pushed = 0;
    let behind = 0;
    let oldest: number | undefined;
    for (const { number, path } of shards) {
      // What is not pushed any more is an alarm of its own, not a lag that grows for ever.
      if (this.#complete.has(number) || (this.#diverged.has(number) && number < newest)) continue;
      const push = this.#shards.get(number);
      const reader = TreeReader.open(path);
      try {
        const size = reader.size();
        const done = push?.resumed === true ? push.pushed : this.#baselineOf(number, size);
        if (number === newest) pushed = done;
        else behind += size - done;
        if (size > done) oldest ??= timeOf(reader, done);
      } finally {
        reader.close();
      }
    }
    return { shard: newest, pushed, behind, ...(oldest === undefined ? {} : { oldest }) };
  }

  /**
   * Whether a sealed shard was completed before this start: shards are pushed in order, so that one of which a later shard has
   * something in the store is. Its last tiles need not be written again then.
   */
  async #known(number: number, shards: readonly ShardPath[]): Promise<boolean> {
    if (this.#shards.has(number)) return false;
    const here = shards.find((shard) => shard.number === number);
    const next = shards.find((shard) => shard.number === number + 1);
    if (here === undefined || next === undefined) return false;
    // What the store says of the shard itself counts, too: it may have been removed or replaced since.
    let whole = false;
    await this.#visit(number, here.path, async (push, reader) => {
      await push.resume(reader);
      whole = push.pushed === reader.size();
    });
    if (!whole) return false;
    let found = false;
    await this.#visit(next.number, next.path, async (push, reader) => {
      if (!push.resumed) await push.resume(reader);
      found = push.pushed > 0;
    });
    return found;
  }

  #completed(number: number): void {
    this.#shards.delete(number);
    this.#baseline.delete(number);
    this.#complete.add(number);
  }

  #baselineOf(number: number, size: number): number {
    const known = this.#baseline.get(number);
    if (known === undefined) this.#baseline.set(number, size);
    return known ?? size;
  }

  /** With a connection of its own, closed again: one that stayed would keep a full shard from being sealed. */
  async #visit(
    number: number,
    path: string,
    act: (push: ShardPush, reader: TreeReader) => Promise<void>,
  ): Promise<void> {
    const { uploader, log, onPushed, cosign, renewal } = this.#options;
    const continues = (): boolean => number > 0 && !this.#diverged.has(number - 1);
    const push =
      this.#shards.get(number) ?? new ShardPush({ shard: number, uploader, log, onPushed, cosign, renewal, continues });
    this.#shards.set(number, push);
    const reader = TreeReader.open(path);
    try {
      await act(push, reader);
    } catch (error) {
      if (!(error instanceof SealgateError) || error.code !== 'MIRROR_DIVERGED') throw error;
      this.#diverged.add(number);
      log('error', { shard: number, code: error.code }, error.message);
    } finally {
      reader.close();
    }
  }
}
