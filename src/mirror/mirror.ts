// The main thread's handle of the mirror: starts its thread, knows how far behind it is, and never stops the pod.
import { Worker } from 'node:worker_threads';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { VerifiedShard } from './local-retention.ts';
import type { MirrorLog } from './log.ts';
import type { FromMirror, MirrorData, MirrorStatus, ToMirror } from './protocol.ts';

/** Before a thread that ended is started again. */
const RESTART_MS = 5000;

export type PushedMessage = FromMirror & { readonly type: 'pushed' };

export interface MirrorOptions {
  readonly data: MirrorData;
  readonly log: MirrorLog;
  /** A checkpoint is in the store. */
  readonly onPushed: (pushed: PushedMessage) => void;
  readonly onStatus: (status: MirrorStatus) => void;
  /** Removes a shard from the volume; rejects when it stays. Needed with `localRetentionDays`. */
  readonly onVerified?: (verified: VerifiedShard) => Promise<void>;
}

export interface Lag {
  /** Entries that no checkpoint in the store covers. */
  readonly entries: number;
  /** Age of the oldest of them; 0 when there is none. */
  readonly seconds: number;
}

export interface Mirror {
  /** Undefined until the thread has looked for the first time. */
  status(): MirrorStatus | undefined;
  /** `nowMs` by the wall clock; `head` of the shard that is written. */
  lag(head: { readonly shard: number; readonly size: number }, nowMs: number): Lag;
  /** Pushes what there is for at most so long, then ends the thread. */
  close(withinMs: number): Promise<void>;
}

/** The mirror goes on from what the store holds, whenever it is started. */
export function startMirror(options: MirrorOptions): Mirror {
  return new Handle(options);
}

class Handle implements Mirror {
  readonly #options: MirrorOptions;
  #worker: Worker;
  #status: MirrorStatus | undefined;
  #restart: NodeJS.Timeout | undefined;
  #running = true;
  #closing = false;
  readonly #closed = Promise.withResolvers<void>();

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#worker = this.#start();
  }

  status(): MirrorStatus | undefined {
    return this.#status;
  }

  lag(head: { readonly shard: number; readonly size: number }, nowMs: number): Lag {
    const status = this.#status;
    if (status === undefined) return { entries: 0, seconds: 0 };
    const pushed = status.shard === head.shard ? status.pushed : 0;
    const entries = status.behind + Math.max(0, head.size - pushed);
    return { entries, seconds: status.oldest === undefined ? 0 : Math.max(0, nowMs - status.oldest / 1000) / 1000 };
  }

  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#restart);
    if (!this.#running) return;
    const message: ToMirror = { type: 'close', withinMs };
    this.#worker.postMessage(message);
    // A store that hangs in the middle of a request is not waited for.
    const timer = setTimeout(() => this.#closed.resolve(), withinMs + 1000);
    await this.#closed.promise;
    clearTimeout(timer);
    await this.#worker.terminate();
  }

  #start(): Worker {
    const { data } = this.#options;
    const worker = new Worker(threadFile(import.meta.url, 'mirror-thread'), {
      name: 'mirror',
      workerData: data,
    });
    this.#running = true;
    worker.on('message', (message: FromMirror) => this.#hear(message));
    worker.on('error', (error) =>
      this.#options.log('error', { error: messageOf(error) }, 'the thread of the mirror failed; it is started again'),
    );
    worker.on('exit', () => {
      this.#running = false;
      if (this.#closing) {
        this.#closed.resolve();
        return;
      }
      this.#restart = setTimeout(() => {
        this.#worker = this.#start();
      }, RESTART_MS);
    });
    return worker;
  }

  async #remove(worker: Worker, verified: VerifiedShard): Promise<void> {
    let answer: ToMirror = { type: 'removed' };
    try {
      if (this.#closing || this.#options.onVerified === undefined) throw new Error('nothing is removed now');
      await this.#options.onVerified(verified);
    } catch (error) {
      const code = error instanceof SealgateError ? error.code : 'INTERNAL';
      answer = { type: 'not-removed', code, message: messageOf(error) };
    }
    worker.postMessage(answer);
  }

  #hear(message: FromMirror): void {
    switch (message.type) {
      case 'status':
        this.#status = message.status;
        this.#options.onStatus(message.status);
        return;
      case 'pushed':
        this.#options.onPushed(message);
        return;
      case 'verified':
        void this.#remove(this.#worker, message.verified);
        return;
      case 'log':
        this.#options.log(message.level, message.fields, message.message);
        return;
      case 'closed':
        this.#closed.resolve();
        return;
    }
  }
}
