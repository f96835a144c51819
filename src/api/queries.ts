// Questions to the index, answered off the main thread by a few threads; one that takes too long is terminated with its question.
import { Worker } from 'node:worker_threads';
import type { LookedUp, Lookup } from '../index/lookup.ts';
import type { Query } from '../index/query.ts';
import type { IndexView } from '../index/view.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { Answer, AnsweredPage, Asked, EntryAnswer, QueryThreadData, Question } from './query-protocol.ts';
import type { TlogFile } from './tlog-file.ts';

export interface QueriesOptions {
  readonly ledgerDir: string;
  readonly vkey: string;
  readonly view: Pick<IndexView, 'file' | 'generation' | 'position' | 'rebuild'>;
  /** Threads that answer at the same time. */
  readonly threads?: number;
  /** A question is cut off after this. A search gives what it has found after half of it. */
  readonly timeLimitMs?: number;
  /** Questions that may wait. */
  readonly maxWaiting?: number;
}

export interface Queries {
  /** Gives what it has found after `softLimitMs`, at most half of the time limit. Throws QUERY_TIMEOUT, QUERY_UNAVAILABLE. */
  search(query: Query, softLimitMs?: number): Promise<AnsweredPage>;
  lookUp(lookup: Lookup): Promise<LookedUp>;
  /** null when the ledger has no such entry; without a shard, of the newest. */
  entry(shard: number | undefined, seq: number): Promise<EntryAnswer | null>;
  /** What lies at a path below /tlog/, if anything. */
  tlog(path: string): Promise<TlogFile | undefined>;
  close(): Promise<void>;
}

/** Threads start with the first question. */
export function createQueries(options: QueriesOptions): Queries {
  return new Pool(options);
}

interface Waiting {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: SealgateError) => void;
}

interface Thread {
  readonly worker: Worker;
  current: Waiting | undefined;
  timer: NodeJS.Timeout | undefined;
}

class Pool implements Queries {
  readonly #options: Required<QueriesOptions>;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Waiting[] = [];
  #closed = false;

  constructor(options: QueriesOptions) {
    this.#options = { threads: 2, timeLimitMs: 5000, maxWaiting: 64, ...options };
  }

  async search(query: Query, softLimitMs = Number.POSITIVE_INFINITY): Promise<AnsweredPage> {
    const most = this.#options.timeLimitMs / 2;
    const answer = await this.#ask({ type: 'search', query, softLimitMs: Math.min(softLimitMs, most) });
    if (answer.type !== 'page') throw unexpected(answer);
    return answer.page;
  }

  async lookUp(lookup: Lookup): Promise<LookedUp> {
    const answer = await this.#ask({ type: 'lookup', lookup });
    if (answer.type !== 'lookup') throw unexpected(answer);
    return answer.found;
  }

  async entry(shard: number | undefined, seq: number): Promise<EntryAnswer | null> {
    const answer = await this.#ask({ type: 'entry', shard, seq });
    if (answer.type !== 'entry') throw unexpected(answer);
    return answer.entry;
  }

  async tlog(path: string): Promise<TlogFile | undefined> {
    const answer = await this.#ask({ type: 'tlog', path });
    if (answer.type !== 'tlog') throw unexpected(answer);
    return answer.file;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = new SealgateError('QUERY_UNAVAILABLE', 'Sealgate is stopping');
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed);
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, closed)));
  }

  #ask(question: Question): Promise<Answer> {
    if (this.#closed) return Promise.reject(new SealgateError('QUERY_UNAVAILABLE', 'Sealgate is stopping'));
    if (this.#waiting.length >= this.#options.maxWaiting) {
      return Promise.reject(
        new SealgateError('QUERY_UNAVAILABLE', 'too many queries are waiting; try again in a moment'),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idle();
      if (thread === undefined) return;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      thread.current = waiting;
      const { timeLimitMs, view } = this.#options;
      thread.timer = setTimeout(() => {
        const message = `the query took longer than ${timeLimitMs / 1000} s and was cut off; narrow it, for example by time`;
        void this.#end(thread, new SealgateError('QUERY_TIMEOUT', message)).then(() => this.#dispatch());
      }, timeLimitMs);
      const asked: Asked = { question: waiting.question, generation: view.generation() };
      thread.worker.postMessage(asked);
    }
  }

  #idle(): Thread | undefined {
    for (const thread of this.#threads) if (thread.current === undefined) return thread;
    if (this.#threads.size >= this.#options.threads) return undefined;
    const { ledgerDir, vkey, view } = this.#options;
    const workerData: QueryThreadData = { ledgerDir, vkey, indexFile: view.file };
    const worker = new Worker(threadFile(import.meta.url, 'query-thread'), { workerData, name: 'query' });
    const thread: Thread = { worker, current: undefined, timer: undefined };
    this.#threads.add(thread);
    worker.on('message', (answer: Answer) => this.#hear(thread, answer));
    worker.on('error', (error) => {
      const message = `the query failed: ${messageOf(error)}`;
      void this.#end(thread, new SealgateError('QUERY_UNAVAILABLE', message)).then(() => this.#dispatch());
    });
    return thread;
  }

  #hear(thread: Thread, answer: Answer): void {
    const waiting = this.#release(thread);
    if (answer.type === 'error') {
      // While the index has never been built there is nothing to read yet, which is no damage.
      const { view } = this.#options;
      if (answer.damaged && view.position() !== undefined) view.rebuild(answer.message);
      waiting?.reject(new SealgateError(answer.code, answer.message));
    } else waiting?.resolve(answer);
    this.#dispatch();
  }

  #release(thread: Thread): Waiting | undefined {
    clearTimeout(thread.timer);
    const waiting = thread.current;
    thread.current = undefined;
    return waiting;
  }

  async #end(thread: Thread, error: SealgateError): Promise<void> {
    this.#threads.delete(thread);
    this.#release(thread)?.reject(error);
    await thread.worker.terminate();
  }
}

function unexpected(answer: Answer): Error {
  return new Error(`a query thread answered with ${answer.type}`);
}
