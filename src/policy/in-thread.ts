// Evaluates requests on the thread that received them, which spares them two changes of threads. What keeps that safe is the
// metered module: an evaluation that uses up its fuel, or calls a built-in that no fuel stops, ends. That, and whatever fails, goes
// to a worker, which can be terminated and has the last word.
import { systemClock } from '../lib/clock.ts';
import type { JsonDocument } from '../lib/json-document.ts';
import type { DataDocument, DataOp } from './data-document.ts';
import { DataFeed } from './data-feed.ts';
import { MEMORY_FACTOR, RELOAD_DELAY_MS, SLACK_BYTES, SLACK_FACTOR } from './data-memory.ts';
import { Evaluator, Unfinished } from './evaluator.ts';
import type { InputReads } from './input-reads.ts';
import { Projector } from './projection.ts';
import {
  type DataPart,
  type Reply,
  STAGE_BYTES,
  STAGE_IDLE,
  STAGE_INPUT,
  STAGE_RULE,
  type WorkerSetup,
} from './protocol.ts';

/** A larger text takes the thread for too long merely to be parsed, and leaves memory behind. */
const MAX_PARSED_BYTES = 128 * 1024;
/**
 * Units of meter.ts for one request, all of its rules together: 1 to 2 ms of code that is warm, a few more of what is not, where an
 * ordinary evaluation of a pod uses a fiftieth, nearly all of it to parse its 3 KB.
 */
const FUEL = 50_000_000n;
/**
 * What a run may take, built-ins of the host included, which no fuel meters. A rule that is the slowest of so many longer runs in a
 * row is left to the workers; one such run may be that of a thread which had to wait for its core.
 */
const SLOW_MS = 5;
const SLOW_RUNS = 3;
/** How long it is left to them. */
const SLOW_FOR_MS = 60_000;

export interface InThreadOptions {
  /** With the metered module. */
  readonly setup: Omit<WorkerSetup, 'stage'>;
  /** By rule, what it reads of the input. */
  readonly reads: readonly InputReads[];
  readonly data: DataDocument<object | undefined>;
}

interface Lane {
  readonly evaluator: Evaluator;
  readonly stage: Int32Array;
  readonly feed: DataFeed;
  /** Whether a part of an update is in effect and the rest is not: workers are asked meanwhile. */
  partial: boolean;
  /** Bytes of the instance's memory that the policies' own data took. */
  readonly ownBytes: number;
}

export class InThread {
  readonly #options: InThreadOptions;
  readonly #projector: Projector;
  readonly #unsubscribe: () => void;
  /** Those that wait for an update to be in effect here. */
  readonly #behind = new Set<() => void>();
  /** By rule, performance.now() until which the workers have it. */
  readonly #slow = new Map<number, number>();
  /** Runs in a row that took long, and the rule that each time took the most of it. */
  #suspect: { readonly rule: number | undefined; readonly runs: number } | undefined;
  #lane: Lane;
  #nextId = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Those that came to their end here. */
  evaluations = 0;
  /** Those that came to none. */
  stopped = 0;

  /** Throws what an instance of the module throws. */
  constructor(options: InThreadOptions) {
    this.#options = options;
    this.#projector = new Projector(options.reads, options.setup.limits.maxBytes, MAX_PARSED_BYTES);
    this.#lane = this.#newLane();
    this.#unsubscribe = options.data.subscribe((ops, revision) => this.#update(ops, revision));
  }

  /** What the rules say of the input, or undefined: then workers have to be asked. `scanned` is its table, if there is one. */
  run(rules: readonly number[], input: Uint8Array, scanned?: JsonDocument): Reply | undefined {
    const { evaluator, stage, feed, partial } = this.#lane;
    // Data that are not there yet, or have no room here, are in the workers.
    if (partial || feed.stopped || (feed.revision === 0 && this.#options.data.revision > 0)) return undefined;
    if (this.#isSlow(rules)) return undefined;
    const read = scanned?.bytes === input ? this.#projector.project(rules, scanned) : undefined;
    const parsed = read ?? input;
    if (parsed.length > MAX_PARSED_BYTES) return undefined;
    const began = performance.now();
    try {
      const reply = evaluator.run({ id: this.#nextId++, rules, input: parsed }, FUEL);
      if (performance.now() - began > SLOW_MS) this.#suspectOf(slowest(rules, reply));
      else this.#suspect = undefined;
      this.evaluations++;
      return reply;
    } catch (error) {
      if (!(error instanceof Unfinished)) throw error;
      this.stopped++;
      const at = Atomics.load(stage, STAGE_RULE);
      // At no rule, it is the input that takes so long.
      if (at !== STAGE_INPUT && at !== STAGE_IDLE) this.#leaveToWorkers(at);
      return undefined;
    }
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    this.#tellUpdated();
  }

  #suspectOf(rule: number | undefined): void {
    const before = this.#suspect;
    const runs = before !== undefined && before.rule === rule ? before.runs + 1 : 1;
    this.#suspect = { rule, runs };
    if (runs < SLOW_RUNS) return;
    this.#suspect = undefined;
    this.#leaveToWorkers(rule);
  }

  #leaveToWorkers(rule: number | undefined): void {
    if (rule !== undefined) this.#slow.set(rule, performance.now() + SLOW_FOR_MS);
  }

  #isSlow(rules: readonly number[]): boolean {
    if (this.#slow.size === 0) return false;
    const now = performance.now();
    for (const [rule, until] of this.#slow) if (until <= now) this.#slow.delete(rule);
    return rules.some((rule) => this.#slow.has(rule));
  }

  #newLane(): Lane {
    const stage = new SharedArrayBuffer(STAGE_BYTES);
    const clock = systemClock();
    const evaluator = new Evaluator({ ...this.#options.setup, stage }, () => BigInt(clock.now()) * 1000n);
    const lane: Lane = {
      evaluator,
      stage: new Int32Array(stage),
      partial: false,
      ownBytes: evaluator.dataBytes,
      // Each part in a turn of its own: a decision waits for one of them at most, as it does in a worker.
      feed: new DataFeed((part) => void setImmediate(() => this.#take(lane, part))),
    };
    const { data } = this.#options;
    lane.feed.run();
    if (data.revision > 0) lane.feed.add(data.snapshot(), data.revision);
    return lane;
  }

  /** Resolves when evaluations here see the update, or there is no memory for it and none take place here. */
  #update(ops: readonly DataOp[], revision: number): Promise<void> {
    this.#lane.feed.add(ops, revision);
    return new Promise((resolve) => {
      const check = (): void => {
        const { feed } = this.#lane;
        if (!this.#closed && !feed.stopped && feed.revision < revision) return;
        this.#behind.delete(check);
        resolve();
      };
      this.#behind.add(check);
      check();
    });
  }

  #tellUpdated(): void {
    for (const check of [...this.#behind]) check();
  }

  #take(lane: Lane, part: DataPart): void {
    if (this.#closed || lane !== this.#lane) return;
    let fits = true;
    try {
      // Each part is in effect at once: all of a large update would take a second.
      lane.partial = part.revision === undefined;
      const { bytes, problem } = lane.evaluator.take({ ...part, revision: part.revision ?? lane.feed.revision });
      fits = problem === undefined;
      lane.feed.taken(fits);
      const most = lane.ownBytes + SLACK_FACTOR * MEMORY_FACTOR * this.#options.data.size.bytes + SLACK_BYTES;
      if (fits && part.revision !== undefined && bytes > most) this.#reload(0);
    } catch {
      // Neither the old data nor the new ones: nothing is evaluated with them.
      fits = false;
      lane.feed.taken(false);
    }
    if (!fits) this.#reload(RELOAD_DELAY_MS);
    this.#tellUpdated();
  }

  /** A new instance that loads all data; until it has them, workers are asked. */
  #reload(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      try {
        this.#lane = this.#newLane();
      } catch {
        // No memory for it at the moment.
        this.#reload(RELOAD_DELAY_MS);
      }
    }, delayMs);
    this.#timer.unref();
  }
}

/** The rule that took the largest part of a run. */
function slowest(rules: readonly number[], { ms }: Reply): number | undefined {
  let most = 0;
  for (let i = 1; i < ms.length; i++) if ((ms[i] ?? 0) > (ms[most] ?? 0)) most = i;
  return rules[most];
}
