// The pool of evaluator threads: a bounded queue in front, a time limit around each request, and a new thread in place
// of one that was cut off or died.
import { Worker } from 'node:worker_threads';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { DataDocument, DataOp } from './data-document.ts';
import { DataFeed } from './data-feed.ts';
import {
  type DataTaken,
  type FromWorker,
  type Job,
  type Reply,
  STAGE_IDLE,
  STAGE_INPUT,
  type WorkerSetup,
} from './protocol.ts';

export interface PoolOptions {
  readonly setup: Omit<WorkerSetup, 'stage'>;
  readonly workers: number;
  /** Most requests that may wait for a worker. */
  readonly maxPending: number;
  /** Told of every worker that is replaced, with the reason. */
  readonly onReplaced: (reason: string) => void;
  /** What changes while the workers run; it becomes part of their data. */
  readonly data: DataDocument;
}

/** How one run ended. `rule` is the rule at which a worker stood when it ended, undefined when it was at none. */
export type RunResult =
  | { readonly type: 'reply'; readonly reply: Reply }
  | { readonly type: 'timeout'; readonly rule: number | undefined }
  | { readonly type: 'crash'; readonly rule: number | undefined; readonly reason: string };

interface Task {
  readonly job: Job;
  readonly timeLimitMs: number;
  /** performance.now(); the run must have ended by then. */
  readonly deadline: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: SealgateError) => void;
  /** While it waits. */
  expiry?: NodeJS.Timeout;
}

interface Slot {
  readonly worker: Worker;
  readonly stage: Int32Array;
  readonly feed: DataFeed;
  state: 'starting' | 'idle' | 'busy' | 'gone';
  /** Bytes of the instance's memory that the data took when they were loaded. */
  loadedBytes: number;
  /** JSON of the changing data at that time, in bytes. */
  loadedJson: number;
  /** Another is being started in its place, because of its data; or is there, and this one ends after its last request. */
  leaving?: 'soon' | 'now';
  task?: Task;
  timer?: NodeJS.Timeout;
}

/**
 * Worker stacks are larger than the default, so that V8's stack is never what limits a policy's recursion before Wasm's
 * is.
 */
const STACK_MB = 8;
const LATE = 'no worker was free before the deadline of the request';
const START_LIMIT_MS = 30_000;
const RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 10_000;
/** A worker is replaced when its data take this much more than one and a half times what they would if they were loaded anew. */
const SLACK_BYTES = 16 * 1024 * 1024;
const SLACK_FACTOR = 1.5;
/** Bytes of an instance's memory for a byte of JSON, where too little was loaded to know better: that of short texts. */
const MEMORY_FACTOR = 12;
/** Less JSON than this tells nothing. */
const TELLING_BYTES = 1024 * 1024;
/** After updates for which there was no memory, until all of it is tried again with a new worker. */
const RELOAD_DELAY_MS = 30_000;

export class WorkerPool {
  private readonly options: PoolOptions;
  private readonly slots = new Set<Slot>();
  private readonly waiting: Task[] = [];
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly unsubscribe: () => void;
  private readonly behind = new Set<() => void>();
  private closed = false;
  /** Starts that failed in a row: the next one waits longer. */
  private failedStarts = 0;
  replaced = 0;
  /** Workers replaced by one that loaded the data anew. */
  renewed = 0;
  /** Why the last update could not be taken; undefined when all workers have taken what there is. */
  dataProblem: string | undefined;

  private constructor(options: PoolOptions) {
    this.options = options;
    this.unsubscribe = options.data.subscribe((ops, revision) => this.update(ops, revision));
  }

  /** Resolves when every worker can evaluate; rejects with the error of the first that cannot. */
  static async start(options: PoolOptions): Promise<WorkerPool> {
    const pool = new WorkerPool(options);
    try {
      await Promise.all(Array.from({ length: options.workers }, () => pool.spawn()));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get counts(): { ready: number; running: number; waiting: number } {
    const states = [...this.slots].map((slot) => slot.state);
    return {
      ready: states.filter((state) => state === 'idle' || state === 'busy').length,
      running: states.filter((state) => state === 'busy').length,
      waiting: this.waiting.length,
    };
  }

  /** Runs one job; its input is transferred. Rejects only with POLICY_OVERLOADED. */
  run(job: Job, timeLimitMs: number, deadline: number): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const task: Task = { job, timeLimitMs, deadline, resolve, reject };
      if (this.closed) return reject(closed());
      if (deadline <= performance.now()) return reject(overloaded(LATE));
      // One that takes a part of an update would take the job after it.
      const idleSlots = [...this.slots].filter((slot) => slot.state === 'idle');
      const idle = idleSlots.find((slot) => !slot.feed.busy) ?? idleSlots[0];
      if (idle !== undefined) return this.give(idle, task);
      if (this.waiting.length >= this.options.maxPending) {
        return reject(overloaded(`${this.waiting.length} evaluations are waiting already`));
      }
      this.waiting.push(task);
      task.expiry = setTimeout(() => this.expire(task), Math.max(0, deadline - performance.now()));
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.unsubscribe();
    for (const timer of this.timers) clearTimeout(timer);
    for (const task of this.waiting.splice(0)) {
      clearTimeout(task.expiry);
      task.reject(closed());
    }
    const slots = [...this.slots];
    this.slots.clear();
    for (const slot of slots) {
      slot.state = 'gone';
      clearTimeout(slot.timer);
      slot.task?.reject(closed());
    }
    this.tellUpdated();
    await Promise.all(slots.map((slot) => slot.worker.terminate()));
  }

  /** Resolves when each worker that takes requests has taken the update, or has no memory for it. */
  private update(ops: readonly DataOp[], revision: number): Promise<void> {
    for (const { feed } of this.slots) feed.add(ops, revision);
    return new Promise((resolve) => {
      const check = (): void => {
        const behind = [...this.slots].some(
          ({ state, feed }) => state !== 'starting' && !feed.stopped && feed.revision < revision,
        );
        if (behind) return;
        this.behind.delete(check);
        resolve();
      };
      this.behind.add(check);
      check();
    });
  }

  private tellUpdated(): void {
    for (const check of [...this.behind]) check();
  }

  /** A worker that evaluates has answered to a part of an update. */
  private taken(slot: Slot, { bytes, problem }: DataTaken): void {
    slot.feed.taken(problem === undefined);
    if (problem !== undefined) {
      this.dataProblem = problem;
      this.later(RELOAD_DELAY_MS, () => this.renew(slot));
    } else if (bytes > SLACK_FACTOR * this.bytesAnew(slot) + SLACK_BYTES) this.renew(slot);
    this.tellUpdated();
  }

  /** What the data would take if they were loaded anew, judged by what they took when they were. */
  private bytesAnew({ loadedBytes, loadedJson }: Slot): number {
    const factor = loadedJson < TELLING_BYTES ? MEMORY_FACTOR : loadedBytes / loadedJson;
    return Math.max(0, loadedBytes + factor * (this.options.data.size.bytes - loadedJson));
  }

  /** Starts a worker that loads all data anew; when it can take requests, this one ends after its last. */
  private renew(slot: Slot): void {
    if (this.closed || slot.state === 'gone' || slot.leaving !== undefined) return;
    slot.leaving = 'soon';
    this.spawn().then(
      () => {
        slot.leaving = 'now';
        this.renewed++;
        if (slot.state === 'idle') this.retire(slot);
        if (![...this.slots].some(({ feed }) => feed.stopped)) this.dataProblem = undefined;
      },
      (error: unknown) => {
        if (this.closed) return;
        this.options.onReplaced(`a worker did not start with the data anew: ${messageOf(error)}`);
        delete slot.leaving;
        if (slot.state === 'gone') this.restart();
        else this.later(RELOAD_DELAY_MS, () => this.renew(slot));
      },
    );
  }

  private later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }

  private expire(task: Task): void {
    const at = this.waiting.indexOf(task);
    if (at < 0) return;
    this.waiting.splice(at, 1);
    task.reject(overloaded(LATE));
  }

  private give(slot: Slot, task: Task): void {
    slot.state = 'busy';
    slot.task = task;
    const left = Math.min(task.timeLimitMs, task.deadline - performance.now());
    slot.timer = setTimeout(
      () => {
        // A reply may have arrived while this thread was busy: let the poll phase deliver it first.
        setImmediate(() => {
          if (slot.task === task && slot.state === 'busy') this.cutOff(slot, task);
        });
      },
      Math.max(0, left),
    );
    slot.worker.postMessage(task.job, [task.job.input.buffer]);
  }

  private next(slot: Slot): void {
    if (slot.leaving === 'now') {
      this.retire(slot);
      return;
    }
    slot.state = 'idle';
    for (let task = this.waiting.shift(); task !== undefined; task = this.waiting.shift()) {
      clearTimeout(task.expiry);
      if (task.deadline > performance.now()) {
        this.give(slot, task);
        return;
      }
      task.reject(overloaded(LATE));
    }
  }

  private cutOff(slot: Slot, task: Task): void {
    const rule = ruleOf(slot);
    this.replace(slot, 'an evaluation ran past its time limit');
    task.resolve({ type: 'timeout', rule });
  }

  private replace(slot: Slot, reason: string): void {
    this.retire(slot);
    this.tellUpdated();
    if (this.closed) return;
    this.replaced++;
    this.options.onReplaced(reason);
    // Another is there already, or on its way.
    if (slot.leaving === undefined) this.restart();
  }

  private retire(slot: Slot): void {
    slot.state = 'gone';
    clearTimeout(slot.timer);
    this.slots.delete(slot);
    void slot.worker.terminate();
  }

  /** Starts a worker in place of one that is gone, at once or, after failed starts, ever later. */
  private restart(): void {
    const delay =
      this.failedStarts === 0 ? 0 : Math.min(RESTART_DELAY_MS * 2 ** (this.failedStarts - 1), MAX_RESTART_DELAY_MS);
    this.later(delay, () => {
      this.spawn().catch((error: unknown) => {
        if (this.closed) return;
        this.failedStarts++;
        this.options.onReplaced(`a worker did not start: ${messageOf(error)}`);
        this.restart();
      });
    });
  }

  private spawn(): Promise<void> {
    const stage = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const setup: WorkerSetup = { ...this.options.setup, stage };
    const worker = new Worker(threadFile(import.meta.url, 'worker'), {
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: setup.limits.heapMb, stackSizeMb: STACK_MB },
    });
    const feed = new DataFeed((part) => worker.postMessage(part, [part.values.buffer]));
    const slot: Slot = { worker, stage: new Int32Array(stage), feed, state: 'starting', loadedBytes: 0, loadedJson: 0 };
    Atomics.store(slot.stage, 0, STAGE_IDLE);
    const { data } = this.options;
    if (data.revision > 0) feed.add(data.snapshot(), data.revision);
    this.slots.add(slot);
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        this.retire(slot);
        reject(new SealgateError('POLICY_FAILED', `a policy worker did not start: ${reason}`));
      };
      slot.timer = setTimeout(() => fail(`not ready after ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
      worker.on('message', (message: FromWorker) => {
        if (slot.state === 'gone') return;
        if (message.type === 'reply') return this.reply(slot, message.reply);
        if (slot.state !== 'starting') return message.type === 'taken' ? this.taken(slot, message) : undefined;
        slot.timer?.refresh();
        if (message.type === 'ready') feed.load();
        else if (message.problem === undefined) feed.taken(true);
        else return fail(`its data: ${message.problem}`);
        // What came while it loaded is for it as for the others.
        if (data.revision > 0 && feed.revision === 0) return;
        clearTimeout(slot.timer);
        slot.loadedBytes = message.bytes;
        slot.loadedJson = data.size.bytes;
        this.failedStarts = 0;
        feed.run();
        resolve();
        this.next(slot);
      });
      const ended = (reason: string): void => {
        if (slot.state === 'starting') fail(reason);
        else if (slot.state !== 'gone') this.crashed(slot, reason);
      };
      worker.on('error', (error) => ended(messageOf(error)));
      worker.on('messageerror', (error) => ended(messageOf(error)));
      worker.on('exit', (code) => ended(`it exited with code ${code}`));
    });
  }

  private reply(slot: Slot, reply: Reply): void {
    const { task } = slot;
    clearTimeout(slot.timer);
    delete slot.task;
    this.next(slot);
    task?.resolve({ type: 'reply', reply });
  }

  private crashed(slot: Slot, reason: string): void {
    const { task } = slot;
    const rule = ruleOf(slot);
    this.replace(slot, `a worker died: ${reason}`);
    task?.resolve({ type: 'crash', rule, reason });
  }
}

function ruleOf(slot: Slot): number | undefined {
  const stage = Atomics.load(slot.stage, 0);
  return stage === STAGE_IDLE || stage === STAGE_INPUT ? undefined : stage;
}

function closed(): SealgateError {
  return new SealgateError('POLICY_OVERLOADED', 'the policy engine is closed');
}

function overloaded(why: string): SealgateError {
  return new SealgateError('POLICY_OVERLOADED', `${why}; raise policy.workers or policy.maxPending if this lasts`);
}
