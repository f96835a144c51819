// The pool of evaluator threads: a bounded queue in front, a time limit around each request, and a new thread in place
// of one that was cut off or died.
import { Worker } from 'node:worker_threads';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import { type FromWorker, type Job, type Reply, STAGE_IDLE, STAGE_INPUT, type WorkerSetup } from './protocol.ts';

export interface PoolOptions {
  readonly setup: Omit<WorkerSetup, 'stage'>;
  readonly workers: number;
  /** Most requests that may wait for a worker. */
  readonly maxPending: number;
  /** Told of every worker that is replaced, with the reason. */
  readonly onReplaced: (reason: string) => void;
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
  state: 'starting' | 'idle' | 'busy' | 'gone';
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

export class WorkerPool {
  private readonly options: PoolOptions;
  private readonly slots = new Set<Slot>();
  private readonly waiting: Task[] = [];
  private readonly restarts = new Set<NodeJS.Timeout>();
  private closed = false;
  /** Starts that failed in a row: the next one waits longer. */
  private failedStarts = 0;
  replaced = 0;

  private constructor(options: PoolOptions) {
    this.options = options;
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
      const idle = [...this.slots].find((slot) => slot.state === 'idle');
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
    for (const timer of this.restarts) clearTimeout(timer);
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
    await Promise.all(slots.map((slot) => slot.worker.terminate()));
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
    if (this.closed) return;
    this.replaced++;
    this.options.onReplaced(reason);
    this.restart();
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
    const timer = setTimeout(() => {
      this.restarts.delete(timer);
      this.spawn().catch((error: unknown) => {
        if (this.closed) return;
        this.failedStarts++;
        this.options.onReplaced(`a worker did not start: ${messageOf(error)}`);
        this.restart();
      });
    }, delay);
    this.restarts.add(timer);
  }

  private spawn(): Promise<void> {
    const stage = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const setup: WorkerSetup = { ...this.options.setup, stage };
    const worker = new Worker(threadFile(import.meta.url, 'worker'), {
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: setup.limits.heapMb, stackSizeMb: STACK_MB },
    });
    const slot: Slot = { worker, stage: new Int32Array(stage), state: 'starting' };
    Atomics.store(slot.stage, 0, STAGE_IDLE);
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
        clearTimeout(slot.timer);
        this.failedStarts = 0;
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
