// Keeps the WAL short without making decisions wait: the checkpointer thread moves it into the database, and once little
// is left to move the writer finishes between two commits, so that the WAL begins anew. Under steady load the checkpointer
// alone never catches up with the writer, and a WAL that nobody finishes grows without end.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { SealgateError } from '../lib/errors.ts';
import type { FromCheckpointer, ToCheckpointer } from './messages.ts';
import { outcomeOf } from './sqlite-errors.ts';
import { type Store, WAL_FRAME_BYTES } from './store.ts';

/** After a reader or a full disk kept the WAL from being moved, how long until it is tried again. */
const RETRY_MS = 1000;

export interface WalLimits {
  /** From here on the checkpointer is asked to work. */
  readonly softBytes: number;
  /** From here on the writer does it itself. */
  readonly hardBytes: number;
  /** No WAL grows beyond this for a reader's sake: the next shard is begun. */
  readonly maxBytes: number;
}

export class WalKeeper {
  #store: Store;
  readonly #port: MessagePort;
  readonly #limits: WalLimits;
  readonly #onSeal: (path: string, sealed: boolean) => void;
  #running = false;
  /** Frames when it was last looked at, those of them that were not in the database then, and how many may have come since. */
  #frames = 0;
  #left = 0;
  #newFrames = 0;
  #outgrown = false;
  #retryAt = 0;
  #closed: (() => void) | undefined;

  constructor(
    store: Store,
    path: string,
    port: MessagePort,
    limits: WalLimits,
    onSeal: (path: string, sealed: boolean) => void,
  ) {
    this.#store = store;
    this.#port = port;
    this.#limits = limits;
    this.#onSeal = onSeal;
    this.#send({ type: 'open', path });
  }

  /** Bytes written to the WAL since it last began anew. */
  bytes(): number {
    return this.#store.walState().frames * WAL_FRAME_BYTES;
  }

  /** Whether a reader holds so much of the WAL that the shard should end: the WAL of the next one is nobody's. */
  get outgrown(): boolean {
    return this.#outgrown;
  }

  /** Has shards sealed that were full before; onSeal hears of each. */
  seal(paths: readonly string[]): void {
    if (paths.length > 0) this.#send({ type: 'seal', paths });
  }

  /** Called after each commit, with the frames that it took at most. Throws when a checkpoint failed for another reason than space: then the disk is not to be trusted. */
  tend(nowMs: number, newFrames: number): void {
    this.#newFrames += newFrames;
    const finished = this.#drain(nowMs);
    if (!finished && !this.#mayBeDue()) return;
    this.#look();
    const frames = this.#frames;
    const left = this.#left;
    if (left === 0 || nowMs < this.#retryAt) return;
    if (frames * WAL_FRAME_BYTES > this.#limits.hardBytes) {
      this.#finish('TRUNCATE', nowMs);
    } else if (finished && frames * WAL_FRAME_BYTES > this.#limits.softBytes) {
      // What came in while the checkpointer worked; when all is moved the next commit writes from the beginning again.
      this.#finish('PASSIVE', nowMs);
    } else if (!this.#running && left * WAL_FRAME_BYTES > this.#limits.softBytes) {
      this.#running = true;
      this.#send({ type: 'run' });
    }
  }

  /** From now on keeps the WAL of this shard; the checkpointer seals the one before, whose store must have been released. */
  switchTo(store: Store, path: string): void {
    this.#store = store;
    this.#frames = 0;
    this.#left = 0;
    this.#newFrames = 0;
    this.#retryAt = 0;
    this.#outgrown = false;
    this.#send({ type: 'open', path });
  }

  /** Resolves when the checkpointer has closed its connection. Rejects when it fails or ends instead: then the disk is not to be trusted. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#closed = resolve;
      this.#port.on('message', (message: FromCheckpointer) => {
        try {
          this.#take(message, performance.now());
        } catch (error) {
          this.#port.close();
          reject(error);
        }
      });
      this.#port.once('close', () =>
        reject(new SealgateError('LEDGER_WRITE_FAILED', 'the WAL checkpointer has ended')),
      );
      this.#send({ type: 'close' });
    });
  }

  #look(): void {
    const { frames, checkpointed } = this.#store.walState();
    this.#frames = frames;
    this.#left = frames - checkpointed;
    this.#newFrames = 0;
  }

  /** Whether anything may have to be done by now: looking costs as much as writing a page. */
  #mayBeDue(): boolean {
    const { softBytes, hardBytes } = this.#limits;
    return (
      (this.#left + this.#newFrames) * WAL_FRAME_BYTES > softBytes ||
      (this.#frames + this.#newFrames) * WAL_FRAME_BYTES > hardBytes
    );
  }

  #send(message: ToCheckpointer): void {
    this.#port.postMessage(message);
  }

  #finish(mode: 'PASSIVE' | 'TRUNCATE', nowMs: number): void {
    // The checkpointer at work keeps the WAL from being emptied as a reader does, but not for long.
    let held = !this.#running;
    try {
      this.#store.checkpointWal(mode);
    } catch (error) {
      if (outcomeOf(error) === 'unknown') throw error;
      // For want of space: where there is none the next shard has none either.
      held = false;
    }
    this.#look();
    if (this.#left > 0) this.#retryAt = nowMs + RETRY_MS;
    this.#outgrown = held && mode === 'TRUNCATE' && this.#frames * WAL_FRAME_BYTES > this.#limits.maxBytes;
  }

  /** Whether the checkpointer finished a run since the last call. */
  #drain(nowMs: number): boolean {
    let finished = false;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return finished;
      finished = this.#take(received.message as FromCheckpointer, nowMs) || finished;
    }
  }

  #take(message: FromCheckpointer, nowMs: number): boolean {
    switch (message.type) {
      case 'done':
        this.#running = false;
        return true;
      case 'sealed':
      case 'unsealed':
        this.#onSeal(message.path, message.type === 'sealed');
        return false;
      case 'closed':
        this.#port.close();
        this.#closed?.();
        return false;
      case 'full':
        this.#running = false;
        this.#retryAt = nowMs + RETRY_MS;
        return false;
      case 'failed':
        throw new SealgateError(
          'LEDGER_WRITE_FAILED',
          `the WAL could not be moved into the database: ${message.message}`,
        );
    }
  }
}
