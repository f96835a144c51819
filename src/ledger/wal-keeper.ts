// Keeps the WAL short without making decisions wait: the checkpointer thread moves it into the database, and once little
// is left to move the writer finishes between two commits, so that the WAL begins anew. Under steady load the checkpointer
// alone never catches up with the writer, and a WAL that nobody finishes grows without end.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { SealgateError } from '../lib/errors.ts';
import type { FromCheckpointer, ToCheckpointer } from './messages.ts';
import { type Store, WAL_FRAME_BYTES } from './store.ts';

/** After a reader kept the WAL from being emptied, how long until the writer tries again. */
const RETRY_MS = 1000;

export interface WalLimits {
  /** From here on the checkpointer is asked to work. */
  readonly softBytes: number;
  /** From here on the writer does it itself. */
  readonly hardBytes: number;
}

export class WalKeeper {
  readonly #store: Store;
  readonly #port: MessagePort;
  readonly #limits: WalLimits;
  #running = false;
  #retryAt = 0;
  #closed: (() => void) | undefined;

  /** `onMessage` is called when the checkpointer reports while the writer is idle. */
  constructor(store: Store, path: string, port: MessagePort, limits: WalLimits) {
    this.#store = store;
    this.#port = port;
    this.#limits = limits;
    this.#send({ type: 'open', path });
  }

  /** Called between commits. Returns the bytes in the WAL. Throws when a checkpoint failed: then the disk is not to be trusted. */
  tend(nowMs: number): number {
    const finished = this.#drain();
    let { frames, checkpointed } = this.#store.walState();
    const bytes = frames * WAL_FRAME_BYTES;
    if (bytes > this.#limits.hardBytes && nowMs >= this.#retryAt) {
      this.#store.checkpointWal('TRUNCATE');
      ({ frames, checkpointed } = this.#store.walState());
      if (frames > 0) this.#retryAt = nowMs + RETRY_MS;
    } else if (finished && bytes > this.#limits.softBytes && checkpointed < frames) {
      // What came in while the checkpointer worked; when all is moved the next commit writes from the beginning again.
      this.#store.checkpointWal('PASSIVE');
    } else if (
      !this.#running &&
      checkpointed < frames &&
      (frames - checkpointed) * WAL_FRAME_BYTES > this.#limits.softBytes
    ) {
      this.#running = true;
      this.#send({ type: 'run' });
    }
    return frames * WAL_FRAME_BYTES;
  }

  /** Resolves when the checkpointer has closed its connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve;
      this.#port.on('message', (message: FromCheckpointer) => this.#take(message));
      this.#send({ type: 'close' });
    });
  }

  #send(message: ToCheckpointer): void {
    this.#port.postMessage(message);
  }

  /** Whether the checkpointer finished a run since the last call. */
  #drain(): boolean {
    let finished = false;
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return finished;
      finished = this.#take(received.message as FromCheckpointer) || finished;
    }
  }

  #take(message: FromCheckpointer): boolean {
    switch (message.type) {
      case 'done':
        this.#running = false;
        return true;
      case 'closed':
        this.#port.close();
        this.#closed?.();
        return false;
      case 'failed':
        throw new SealgateError(
          'LEDGER_WRITE_FAILED',
          `the WAL could not be moved into the database: ${message.message}`,
        );
    }
  }
}
