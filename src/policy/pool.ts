// The pool of evaluator threads: a bounded queue in front, a time limit around each request, and a new thread in place
// of one that was cut off or died.
import { Worker } from 'node:worker_threads';
import { monotonicMs } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { threadFile } from '../lib/thread-file.ts';
import type { DataDocument, DataOp } from './data-document.ts';
import { DataFeed } from './data-feed.ts';
import { MEMORY_FACTOR, RELOAD_DELAY_MS, SLACK_BYTES, SLACK_FACTOR } from './data-memory.ts';
import {
  type DataTaken,
  type FromWorker,
  type Job,
  type Jobs,
  type Reply,
  STAGE_BEGUN,
  STAGE_BYTES,
  STAGE_IDLE,
  STAGE_INPUT,
  STAGE_RULE,
  STAGE_SINCE,
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
  /** Its worker did not come to it in time: it was refused, or others have it, too. */
  late?: true;
}

interface Slot {
  readonly worker: Worker;
  readonly stage: Int32Array;
  /** The same memory. */
  readonly since: Float64Array;
  readonly feed: DataFeed;
  state: 'starting' | 'idle' | 'busy' | 'gone';
  /** Bytes of the instance's memory that the data took when they were loaded. */
  loadedBytes: number;
  /** JSON of the changing data at that time, in bytes. */
  loadedJson: number;
  /** Another is being started in its place, because of its data; or is there, and this one ends after its last request. */
  leaving?: 'soon' | 'now';
  /** What it was given and has not answered, in its order. */
  tasks: Task[];
  /** performance.now() when it was given them. */
  givenAt: number;
  /** Jobs that it has answered since it started. */
  answered: number;
  timer?: NodeJS.Timeout;
}

/** At which of its tasks a worker stands, and since when. */
interface Standing {
  readonly task: Task | undefined;
  readonly since: number;
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
/** What a worker is given at once: as many as it evaluates in a millisecond or two. */
const MOST_TASKS = 16;
const MOST_BYTES = 64 * 1024;
/** After so long at one task, those behind it are given to other workers as well; the first answer counts. */
const STUCK_MS = 20;
/** Less JSON than this tells nothing. */
const TELLING_BYTES = 1024 * 1024;

export class WorkerPool {
  private readonly options: PoolOptions;
  private readonly slots = new Set<Slot>();
  private readonly waiting: Task[] = [];
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly unsubscribe: () => void;
  private readonly behind = new Set<() => void>();
  private closed = false;
  /** Whether what waits is given out at the end of this turn of the event loop. */
  private dispatching = false;
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
      waiting: this.pending(),
    };
  }

  /** Runs one job, whose input must stay as it is. Rejects only with POLICY_OVERLOADED. */
  run(job: Job, timeLimitMs: number, deadline: number): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const task: Task = { job, timeLimitMs, deadline, resolve, reject };
      if (this.closed) return reject(closed());
      if (deadline <= performance.now()) return reject(overloaded(LATE));
      const idle = this.idle().length;
      const pending = this.pending() - idle;
      if (pending >= this.options.maxPending) return reject(overloaded(`${pending} evaluations are waiting already`));
      this.wait(task);
      this.waiting.push(task);
      if (idle > 0) this.dispatchSoon();
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
      for (const task of slot.tasks) task.reject(closed());
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

  /** Starts the clock of a task that waits. */
  private wait(task: Task): void {
    task.expiry = setTimeout(() => this.expire(task), Math.max(0, task.deadline - performance.now()));
  }

  /** Those that were not begun yet, as far as is known here. */
  private pending(): number {
    let pending = this.waiting.length;
    for (const { tasks } of this.slots)
      pending += Math.max(0, tasks.filter(({ late }) => late === undefined).length - 1);
    return pending;
  }

  /** First those that do not take a part of an update: a job comes after it. */
  private idle(): Slot[] {
    const idle = [...this.slots].filter((slot) => slot.state === 'idle');
    return [...idle.filter(({ feed }) => !feed.busy), ...idle.filter(({ feed }) => feed.busy)];
  }

  /** At the end of this turn of the event loop, when all requests that have arrived are here. */
  private dispatchSoon(): void {
    if (this.dispatching) return;
    this.dispatching = true;
    setImmediate(() => {
      this.dispatching = false;
      for (const slot of this.idle()) this.give(slot);
    });
  }

  /** Gives an idle worker its share of what waits. */
  private give(slot: Slot): void {
    const share = Math.min(MOST_TASKS, Math.ceil(this.waiting.length / Math.max(1, this.slots.size)));
    const tasks: Task[] = [];
    let bytes = 0;
    for (let task = this.waiting[0]; task !== undefined && tasks.length < share; task = this.waiting[0]) {
      const { length } = task.job.input;
      if (tasks.length > 0 && bytes + length > MOST_BYTES) break;
      this.waiting.shift();
      clearTimeout(task.expiry);
      if (task.deadline <= performance.now()) {
        task.reject(overloaded(LATE));
        continue;
      }
      tasks.push(task);
      bytes += length;
    }
    if (tasks.length === 0) return;
    slot.state = 'busy';
    slot.tasks = tasks;
    slot.givenAt = performance.now();
    this.watch(slot);
    const inputs = new Uint8Array(bytes);
    let end = 0;
    for (const { job } of tasks) {
      inputs.set(job.input, end);
      end += job.input.length;
    }
    const jobs = tasks.map(({ job: { id, rules, input } }) => ({ id, rules, length: input.length }));
    slot.worker.postMessage({ type: 'jobs', jobs, inputs } satisfies Jobs, [inputs.buffer]);
  }

  private next(slot: Slot): void {
    if (slot.leaving === 'now') {
      this.retire(slot);
      return;
    }
    slot.state = 'idle';
    if (this.waiting.length > 0) this.dispatchSoon();
  }

  /** Sets the timer to when the first of the worker's tasks has no time left. */
  private watch(slot: Slot): void {
    clearTimeout(slot.timer);
    const waited = slot.tasks.filter(({ late }) => late === undefined);
    const due = Math.min(this.due(slot), this.stuckAt(slot), ...waited.map(({ deadline }) => deadline));
    slot.timer = setTimeout(
      // Replies may have arrived while this thread was busy: let the poll phase deliver them first.
      () => setImmediate(() => this.look(slot)),
      Math.max(0, Math.ceil(due - performance.now())),
    );
  }

  /** When the task at which the worker stands has had its time. */
  private due(slot: Slot): number {
    const { task, since } = standing(slot);
    return task === undefined ? Number.POSITIVE_INFINITY : Math.min(since + task.timeLimitMs, task.deadline);
  }

  /** When those behind the task at which the worker stands go to others. */
  private stuckAt(slot: Slot): number {
    const { task: current, since } = standing(slot);
    const behind = slot.tasks.some((task) => task !== current && task.late === undefined);
    return behind && this.slots.size > 1 ? since + STUCK_MS : Number.POSITIVE_INFINITY;
  }

  /** The worker answers them all the same, later. */
  private share(slot: Slot): void {
    const { task: current } = standing(slot);
    const behind = slot.tasks.filter((task) => task !== current && task.late === undefined);
    slot.tasks = slot.tasks.map((task) => (behind.includes(task) ? { ...task, late: true } : task));
    for (const task of behind) this.wait(task);
    this.waiting.unshift(...behind);
    if (this.idle().length > 0) this.dispatchSoon();
  }

  private look(slot: Slot): void {
    if (slot.state !== 'busy' || slot.tasks.length === 0) return;
    const now = performance.now();
    if (now >= this.due(slot)) {
      this.cutOff(slot);
      return;
    }
    if (now >= this.stuckAt(slot)) this.share(slot);
    const { task: current } = standing(slot);
    for (const task of slot.tasks) {
      if (task === current || task.deadline > now) continue;
      task.late = true;
      task.reject(overloaded(LATE));
    }
    this.watch(slot);
  }

  private cutOff(slot: Slot): void {
    const rule = ruleOf(slot);
    const task = this.takeBack(slot);
    this.replace(slot, 'an evaluation ran past its time limit');
    task?.resolve({ type: 'timeout', rule });
  }

  /** The task at which a worker stood that is going. The others that it has not answered are evaluated by another. */
  private takeBack(slot: Slot): Task | undefined {
    const { task } = standing(slot);
    const others = slot.tasks.filter((other) => other !== task && other.late === undefined);
    slot.tasks = [];
    for (const other of others) this.wait(other);
    this.waiting.unshift(...others);
    if (others.length > 0) this.dispatchSoon();
    return task;
  }

  private replace(slot: Slot, reason: string): void {
    this.retire(slot);
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
    // It may have been the last that an update waits for.
    this.tellUpdated();
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
    const stage = new SharedArrayBuffer(STAGE_BYTES);
    const setup: WorkerSetup = { ...this.options.setup, stage };
    const worker = new Worker(threadFile(import.meta.url, 'worker'), {
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: setup.limits.heapMb, stackSizeMb: STACK_MB },
    });
    const feed = new DataFeed((part) => worker.postMessage(part, [part.values.buffer]));
    const slot: Slot = {
      ...{ worker, stage: new Int32Array(stage), since: new Float64Array(stage), feed, state: 'starting' },
      ...{ loadedBytes: 0, loadedJson: 0, tasks: [], givenAt: 0, answered: 0 },
    };
    Atomics.store(slot.stage, STAGE_RULE, STAGE_IDLE);
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
        if (message.type === 'replies') return this.answered(slot, message.replies);
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

  private answered(slot: Slot, replies: readonly Reply[]): void {
    const tasks = slot.tasks.splice(0, replies.length);
    slot.answered += replies.length;
    if (slot.tasks.length > 0) this.watch(slot);
    else {
      clearTimeout(slot.timer);
      this.next(slot);
    }
    for (const [i, reply] of replies.entries()) tasks[i]?.resolve({ type: 'reply', reply });
  }

  private crashed(slot: Slot, reason: string): void {
    const rule = ruleOf(slot);
    const task = this.takeBack(slot);
    this.replace(slot, `a worker died: ${reason}`);
    task?.resolve({ type: 'crash', rule, reason });
  }
}

/** Before it has begun the first of them: at that one, since it was given them. */
function standing({ stage, since, tasks, givenAt, answered }: Slot): Standing {
  const at = Atomics.load(stage, STAGE_BEGUN) - answered - 1;
  if (at < 0) return { task: tasks[0], since: givenAt };
  return { task: tasks[at], since: (since[STAGE_SINCE] ?? 0) + performance.now() - monotonicMs() };
}

function ruleOf(slot: Slot): number | undefined {
  const stage = Atomics.load(slot.stage, STAGE_RULE);
  return stage === STAGE_IDLE || stage === STAGE_INPUT ? undefined : stage;
}

function closed(): SealgateError {
  return new SealgateError('POLICY_OVERLOADED', 'the policy engine is closed');
}

function overloaded(why: string): SealgateError {
  return new SealgateError('POLICY_OVERLOADED', `${why}; raise policy.workers or policy.maxPending if this lasts`);
}
