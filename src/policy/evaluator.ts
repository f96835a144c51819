// Evaluates the rules of one request on a policy instance, each on its own: what one does wrong does not hide the
// others. Runs inside an evaluator thread, and on the main one; knows nothing of threads.
import { randomBytes } from 'node:crypto';
import { MAX_CHARS } from './builtins/too-long.ts';
import type { BuiltinContext } from './builtins/types.ts';
import { failureWords } from './failure-words.ts';
import { InputError, PolicyInstance } from './host.ts';
import { placeOf } from './place.ts';
import {
  type DataPart,
  type DataTaken,
  type Job,
  type Reply,
  type RuleFailure,
  type RuleOutcome,
  STAGE_IDLE,
  STAGE_INPUT,
  type WorkerSetup,
} from './protocol.ts';
import type { Value } from './terms.ts';
import { membersOf, ShapeError } from './verdict.ts';

export const MAX_PRINTS = 100;
export const MAX_PRINT_CHARS = 1024;
/** Instead of MAX_CHARS where there is fuel, which is not enough for the way of more into the module. */
const MAX_CHARS_FUELLED = 64 * 1024;

/**
 * With fuel, a job came to no end here: the fuel was used up, or a policy failed. Where there is more stack, memory and time it may not. The
 * stage says at which rule; nothing of the job is known.
 */
export class Unfinished extends Error {
  override readonly name = 'Unfinished';
}

type Lasting = Pick<BuiltinContext, 'regexes' | 'zones'>;

export class Evaluator {
  private readonly setup: WorkerSetup;
  private readonly stage: Int32Array;
  /** Nanoseconds since the Unix epoch. */
  private readonly now: () => bigint;
  private instance: PolicyInstance | undefined;
  /** The instance that was dropped, whose data the next one takes over. */
  private dropped: PolicyInstance | undefined;
  private revision = 0;
  /** Of the job at hand. */
  private fuel: bigint | undefined;
  private readonly lasting: Lasting = { regexes: new Map(), zones: new Map() };
  private recycled = 0;

  constructor(setup: WorkerSetup, now: () => bigint) {
    this.setup = setup;
    this.stage = new Int32Array(setup.stage);
    this.now = now;
    this.instance = this.create();
  }

  /** Bytes up to the end of the data in the instance's memory. */
  get dataBytes(): number {
    return (this.instance ?? this.dropped)?.dataBytes ?? 0;
  }

  /**
   * Takes a part of an update; the last one brings it into effect. Throws when that fails half-way: then the data are neither
   * the old ones nor the new ones, and this evaluator must not be used again.
   */
  take({ paths, values, lengths, revision }: DataPart): DataTaken {
    let end = 0;
    try {
      this.instance ??= this.create();
      for (const [i, path] of paths.entries()) {
        const length = lengths[i] ?? -1;
        const value = length < 0 ? undefined : values.subarray(end, end + length);
        end += Math.max(0, length);
        this.instance.stage(path, value);
      }
    } catch (error) {
      // Nothing of it is in effect; the next instance takes over what was there before.
      (this.instance ?? this.dropped)?.unstage();
      this.drop();
      return { type: 'taken', bytes: this.dataBytes, problem: failureWords(error) };
    }
    if (revision !== undefined) {
      this.instance.commit();
      this.revision = revision;
    }
    return { type: 'taken', bytes: this.dataBytes };
  }

  /** `fuel`, which only a metered module can be given, is for the rules of the job together. With it, throws Unfinished. */
  run(job: Job, fuel?: bigint): Reply {
    this.recycled = 0;
    this.fuel = fuel;
    const outcomes: RuleOutcome[] = [];
    const failures: RuleFailure[] = [];
    const prints: { rule: number; message: string }[] = [];
    // Of the rule at hand: its prints are told apart by it.
    let current = STAGE_INPUT;
    const context = new JobContext(this.lasting, this.now, fuel === undefined ? MAX_CHARS : MAX_CHARS_FUELLED, (line) =>
      addPrint(prints, current, line),
    );
    const ms: number[] = [];
    let ready = false;
    if (this.instance !== undefined) this.fuelled(this.instance);
    for (const rule of job.rules) {
      const { entrypoint, rule: name } = this.rule(rule);
      // The input is everybody's: what it takes to parse it is nobody's time.
      let began: number | undefined;
      try {
        this.enter(STAGE_INPUT);
        this.instance ??= this.fuelled(this.create());
        // Parsed once for all rules; again only after a failure cost the instance.
        if (!ready) this.instance.setInput(job.input);
        ready = true;
        this.enter(rule);
        current = rule;
        began = performance.now();
        const members = membersOf(name, this.instance.evaluate(entrypoint, context));
        if (members.length > 0) outcomes.push({ rule, members });
      } catch (error) {
        this.throwIfUnfinished(error);
        failures.push({
          rule,
          code: 'POLICY_FAILED',
          message: this.describe(error, began === undefined ? undefined : rule),
        });
        if (error instanceof ShapeError) continue;
        ready = false;
        if (!(error instanceof InputError)) this.drop();
      } finally {
        ms.push(began === undefined ? 0 : performance.now() - began);
      }
    }
    const { instance } = this;
    if (instance !== undefined && instance.memoryBytes - instance.dataBytes > this.setup.limits.recycleBytes)
      this.drop();
    this.enter(STAGE_IDLE);
    return { id: job.id, outcomes, failures, prints, ms, recycled: this.recycled, revision: this.revision };
  }

  private throwIfUnfinished(cause: unknown): void {
    if (this.fuel === undefined || cause instanceof ShapeError || cause instanceof InputError) return;
    // What it was doing is half done.
    this.drop();
    throw new Unfinished('not evaluated to its end', { cause });
  }

  /** What an instance costs to be made, and to be given its data, is nobody's fuel. */
  private fuelled(instance: PolicyInstance): PolicyInstance {
    if (this.fuel !== undefined) instance.refuel(this.fuel);
    return instance;
  }

  private rule(index: number): WorkerSetup['rules'][number] {
    const rule = this.setup.rules[index];
    if (rule === undefined) throw new RangeError(`no rule ${index}`);
    return rule;
  }

  /** With the rule that was asked and its place, where it and not the input is what failed. */
  private describe(error: unknown, rule: number | undefined): string {
    const message = failureWords(error);
    return rule === undefined ? message : `${message} (${placeOf(this.rule(rule))})`;
  }

  private enter(stage: number): void {
    Atomics.store(this.stage, 0, stage);
  }

  private create(): PolicyInstance {
    const { module, data, limits } = this.setup;
    const { maxBytes: maxMemoryBytes, recycleBytes } = limits;
    const instance = new PolicyInstance({ module, data: this.dropped ?? data, maxMemoryBytes, recycleBytes });
    this.dropped = undefined;
    return instance;
  }

  private drop(): void {
    this.dropped = this.instance ?? this.dropped;
    this.instance = undefined;
    this.recycled++;
  }
}

/** What built-ins use in one job. */
class JobContext implements BuiltinContext {
  readonly regexes: BuiltinContext['regexes'];
  readonly zones: BuiltinContext['zones'];
  readonly maxChars: number;
  readonly random = randomBytes;
  readonly print: BuiltinContext['print'];
  readonly #clock: () => bigint;
  #now: bigint | undefined;
  #fixed: Map<string, Value> | undefined;

  constructor({ regexes, zones }: Lasting, clock: () => bigint, maxChars: number, print: BuiltinContext['print']) {
    this.regexes = regexes;
    this.zones = zones;
    this.#clock = clock;
    this.maxChars = maxChars;
    this.print = print;
  }

  get now(): bigint {
    this.#now ??= this.#clock();
    return this.#now;
  }

  get fixed(): Map<string, Value> {
    this.#fixed ??= new Map();
    return this.#fixed;
  }
}

function addPrint(prints: { rule: number; message: string }[], rule: number, line: string): void {
  if (prints.length >= MAX_PRINTS) return;
  const message = line.length <= MAX_PRINT_CHARS ? line : `${line.slice(0, MAX_PRINT_CHARS)}…`.toWellFormed();
  prints.push({ rule, message: prints.length === MAX_PRINTS - 1 ? '… further prints were left out' : message });
}
