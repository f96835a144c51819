// The main thread's handle on the index: starts the thread that keeps it, tells it of new entries, knows how far it is.
import { Worker } from 'node:worker_threads';
import { messageOf } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { FromIndexer, IndexerData, ToIndexer } from './indexer-protocol.ts';
import type { IndexLog } from './log.ts';
import type { IndexPosition } from './writer.ts';

export interface ViewOptions {
  /** The ledger's folder. */
  readonly ledgerDir: string;
  /** `<dataDir>/index/index.sqlite`; its folder is created. */
  readonly file: string;
  /** With less free space on its volume the index waits. Default 0. */
  readonly keepFreeBytes?: number;
  readonly log: IndexLog;
}

export interface IndexView {
  readonly file: string;
  /** Tells the index that the ledger has grown to this. Cheap: may be called at every commit. */
  notify(head: IndexPosition): void;
  /** Up to where the index is; undefined before its first entry. */
  position(): IndexPosition | undefined;
  /** Raised whenever the file was replaced by another. */
  generation(): number;
  /** Resolves to whether the index holds the ledger up to `head`, at the latest after `ms`. */
  reached(head: IndexPosition, ms: number): Promise<boolean>;
  /** Calls back whenever the index has advanced, until the returned function is called. */
  onAdvance(listener: () => void): () => void;
  /** Asks for a new index because the file cannot be read; asked again within ten seconds, it does nothing. */
  rebuild(reason: string): void;
  close(): Promise<void>;
}

/**
 * From one step of the index to the next, in milliseconds, while nobody asks. A step has a price of its own, a millisecond or two where
 * the caches hold other things by then, and on one core that is time which decisions need.
 */
const LAZY_MS = 250;

/** The same while somebody follows, or so many entries wait that they share the price. */
const SOON_MS = 40;
const ENOUGH_ENTRIES = 1024;

/** The same while a query waits for what is on record. The first that asks after a while finds that this has passed. */
const ASKED_MS = 20;

/** Before a thread that died is started again, in milliseconds. */
const RESTART_MS = 1000;

/** Between two rebuilds that were asked for, in milliseconds. */
const REBUILD_MS = 10_000;

/** Starts the index thread. It opens the ledger read-only; what it finds wrong is logged, and tried again. */
export function openView(options: ViewOptions): IndexView {
  return new View(options);
}

class View implements IndexView {
  readonly file: string;
  readonly #options: ViewOptions;
  readonly #listeners = new Set<() => void>();
  #worker: Worker | undefined;
  #position: IndexPosition | undefined;
  #head: IndexPosition | undefined;
  /** What the running thread says, and what threads before it said. */
  #generation = { now: 0, before: 0 };
  /** The pace that the thread was told and has to keep before it is idle; it begins with a step. */
  #told: number | undefined = 0;
  /** Callers of reached(). */
  #waiting = 0;
  #closed: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #rebuilt = Number.NEGATIVE_INFINITY;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: ViewOptions) {
    this.file = options.file;
    this.#options = options;
    this.#start();
  }

  notify(head: IndexPosition): void {
    this.#head = head;
    this.#advance();
  }

  position(): IndexPosition | undefined {
    return this.#position;
  }

  generation(): number {
    return this.#generation.now + this.#generation.before;
  }

  reached(head: IndexPosition, ms: number): Promise<boolean> {
    if (holds(this.#position, head)) return Promise.resolve(true);
    this.#waiting++;
    this.notify(later(this.#head, head));
    return new Promise((resolve) => {
      const done = (reached: boolean): void => {
        clearTimeout(timer);
        stop();
        this.#waiting--;
        resolve(reached);
      };
      const timer = setTimeout(() => done(false), ms);
      const stop = this.onAdvance(() => {
        if (holds(this.#position, head)) done(true);
      });
    });
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    // What is new already comes as soon as what will be.
    if (this.#told !== undefined) this.#advance();
    return () => this.#listeners.delete(listener);
  }

  rebuild(reason: string): void {
    const now = performance.now();
    if (now - this.#rebuilt < REBUILD_MS) return;
    this.#rebuilt = now;
    this.#told = 0;
    this.#post({ type: 'rebuild', reason });
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      clearTimeout(this.#restart);
      this.#closed = resolve;
      if (this.#worker === undefined) resolve();
      else this.#post({ type: 'close' });
    });
    return this.#closing;
  }

  #start(): void {
    const { ledgerDir, keepFreeBytes = 0 } = this.#options;
    const workerData: IndexerData = { ledgerDir, file: this.file, keepFreeBytes };
    const worker = new Worker(threadFile(import.meta.url, 'indexer'), { workerData, name: 'index' });
    this.#worker = worker;
    this.#told = 0;
    worker.on('message', (message: FromIndexer) => this.#hear(message));
    worker.on('error', (error) =>
      this.#options.log.error({ error: messageOf(error) }, 'the index thread failed; it is started again'),
    );
    worker.once('exit', () => {
      this.#worker = undefined;
      this.#generation = { now: 0, before: this.generation() + 1 };
      if (this.#closing === undefined) this.#restart = setTimeout(() => this.#start(), RESTART_MS);
      else this.#closed?.();
    });
  }

  #hear(message: FromIndexer): void {
    if (message.type === 'log') this.#options.log[message.level](message.fields, message.message);
    if (message.type !== 'position') return;
    this.#position = message.position;
    this.#generation.now = message.generation;
    for (const listener of [...this.#listeners]) listener();
    if (!message.idle) return;
    this.#told = undefined;
    if (this.#head !== undefined && !holds(this.#position, this.#head)) this.#advance();
  }

  /** Tells the thread to go on, unless it was told to do so as soon. */
  #advance(): void {
    const paceMs = this.#pace();
    if (this.#told !== undefined && this.#told <= paceMs) return;
    this.#told = paceMs;
    this.#post({ type: 'advance', paceMs });
  }

  #pace(): number {
    if (this.#waiting > 0) return ASKED_MS;
    return this.#listeners.size > 0 || this.#behind() >= ENOUGH_ENTRIES ? SOON_MS : LAZY_MS;
  }

  /** Entries that the index lacks; in another shard, as many as one likes. */
  #behind(): number {
    if (this.#head === undefined) return 0;
    const { shard, size } = this.#position ?? { shard: 0, size: 0 };
    return shard === this.#head.shard ? this.#head.size - size : Number.POSITIVE_INFINITY;
  }

  #post(message: ToIndexer): void {
    this.#worker?.postMessage(message);
  }
}

/** Whether an index at `position` holds everything up to `head`. */
function holds(position: IndexPosition | undefined, head: IndexPosition): boolean {
  if (position === undefined) return head.size === 0 && head.shard === 0;
  return position.shard > head.shard || (position.shard === head.shard && position.size >= head.size);
}

function later(a: IndexPosition | undefined, b: IndexPosition): IndexPosition {
  return a !== undefined && holds(a, b) ? a : b;
}
