// The policy engine: a compiled bundle, the pool that evaluates it, and the verdict made of their answers.
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { JsonDocument } from '../lib/json-document.ts';
import { type BundleRule, buildBundle, type CompiledBundle, rulesOf } from './bundle.ts';
import { DataDocument } from './data-document.ts';
import { InThread } from './in-thread.ts';
import { MatchIndex } from './match.ts';
import { meterModule } from './meter.ts';
import { placeOf } from './place.ts';
import { type RunResult, WorkerPool } from './pool.ts';
import type { MemoryLimits, Reply, RuleFailure, WorkerSetup } from './protocol.ts';
import type {
  BundleInfo,
  EngineStats,
  Evaluation,
  MatchFacts,
  PolicyEngine,
  PolicyFailure,
  PolicyPrint,
  PolicyResult,
  PolicyTime,
} from './types.ts';

export interface EngineOptions {
  /** Folder with the policies. */
  readonly dir: string;
  /** Path of the opa binary. */
  readonly opa: string;
  readonly workers: number;
  /** Most time that one run of a request's policies may take. */
  readonly timeLimitMs: number;
  /** Most requests that wait for a worker. */
  readonly maxPending: number;
  readonly onWorkerReplaced?: (reason: string) => void;
  readonly memory?: MemoryLimits;
  /** Data that change while policies are evaluated; they become part of the policies' own. */
  readonly data?: DataDocument<object | undefined>;
  /** Whether requests are evaluated on this thread as long as that takes little (in-thread.ts). Default false. */
  readonly inThread?: boolean;
  /** Why that cannot be, and workers evaluate everything. */
  readonly onNotInThread?: (reason: string) => void;
}

/** An 8 MiB review takes some 100 MiB parsed; an ordinary one leaves an instance at a few MiB. */
export const DEFAULT_MEMORY: MemoryLimits = {
  maxBytes: 512 * 1024 * 1024,
  recycleBytes: 64 * 1024 * 1024,
  heapMb: 256,
};

/** Time kept back from the deadline for the answer itself. */
const DEADLINE_MARGIN_MS = 5;

/**
 * Compiles the folder and starts the workers. POLICY_INVALID when the bundle is refused, POLICY_FAILED when a worker
 * does not start.
 */
export async function startEngine(options: EngineOptions): Promise<PolicyEngine> {
  return startBundle(await buildBundle(options.opa, options.dir), options);
}

/** Starts the workers on a bundle that is compiled already. */
export async function startBundle(
  bundle: CompiledBundle,
  options: Omit<EngineOptions, 'dir' | 'opa'>,
): Promise<PolicyEngine> {
  const rules = rulesOf(bundle.info.policies);
  const data = options.data ?? new DataDocument<object | undefined>();
  const setup = {
    module: await WebAssembly.compile(new Uint8Array(bundle.wasm)),
    data: bundle.data,
    rules: rules.map(({ rule, location, entrypoint }) => ({ rule, location, entrypoint })),
    limits: options.memory ?? DEFAULT_MEMORY,
  };
  const pool = await WorkerPool.start({
    setup,
    workers: options.workers,
    maxPending: options.maxPending,
    data,
    onReplaced: options.onWorkerReplaced ?? (() => undefined),
  });
  const here = options.inThread === true ? await openHere(bundle, setup, data, options) : undefined;
  return new Engine(bundle.info, rules, pool, here, data, options);
}

/** Undefined for a module that cannot be metered, or for which there is no memory. */
async function openHere(
  { wasm, info, reads }: CompiledBundle,
  setup: Omit<WorkerSetup, 'stage'>,
  data: DataDocument<object | undefined>,
  { onNotInThread }: Pick<EngineOptions, 'onNotInThread'>,
): Promise<InThread | undefined> {
  try {
    const module = await WebAssembly.compile(meterModule(wasm));
    const readsByRule = rulesOf(info.policies).map(
      ({ entrypoint }) => reads.get(entrypoint) ?? 'nothing is known of it',
    );
    return new InThread({ setup: { ...setup, module }, data, reads: readsByRule });
  } catch (error) {
    onNotInThread?.(messageOf(error));
    return undefined;
  }
}

/** Most requests have no results, no failures and no prints. */
const NONE: readonly never[] = [];

/** What came of the rules of one request. */
interface Outcome {
  /** Of those that ran to their end, and which these are; undefined where none did. */
  readonly reply: Reply | undefined;
  readonly rules: readonly number[];
  /** Of those that were cut off. */
  readonly cutOff: readonly RuleFailure[];
}

class Engine implements PolicyEngine {
  readonly bundle: BundleInfo;
  private readonly rules: readonly BundleRule[];
  private readonly pool: WorkerPool;
  private readonly here: InThread | undefined;
  private readonly data: DataDocument<object | undefined>;
  private readonly index: MatchIndex;
  private readonly timeLimitMs: number;
  private readonly workers: number;
  private nextId = 0;
  private readonly counters: Record<'evaluations' | 'timeouts' | 'overloads' | 'recycled', number> = {
    evaluations: 0,
    timeouts: 0,
    overloads: 0,
    recycled: 0,
  };
  private closed = false;

  constructor(
    bundle: BundleInfo,
    rules: readonly BundleRule[],
    pool: WorkerPool,
    here: InThread | undefined,
    data: DataDocument<object | undefined>,
    options: Omit<EngineOptions, 'dir' | 'opa'>,
  ) {
    this.bundle = bundle;
    this.rules = rules;
    this.pool = pool;
    this.here = here;
    this.data = data;
    this.index = new MatchIndex(rules.map((rule) => rule.match));
    this.timeLimitMs = options.timeLimitMs;
    this.workers = options.workers;
  }

  evaluate(
    facts: MatchFacts,
    input: Uint8Array,
    deadline: number,
    scanned?: JsonDocument,
  ): Evaluation | Promise<Evaluation> {
    const started = performance.now();
    if (this.closed) throw new SealgateError('POLICY_OVERLOADED', 'the policy engine is closed');
    const selected = this.index.select(facts);
    let reply: Reply | undefined;
    if (selected.length > 0) {
      reply = this.here?.run(selected, input, scanned);
      if (reply === undefined) return this.elsewhere(selected, input, deadline, started);
    }
    return this.verdict(selected, { reply, rules: selected, cutOff: [] }, started);
  }

  /** In the workers. */
  private async elsewhere(
    selected: readonly number[],
    input: Uint8Array,
    deadline: number,
    started: number,
  ): Promise<Evaluation> {
    return this.verdict(selected, await this.runAll(selected, input, deadline), started);
  }

  stats(): EngineStats {
    return {
      workers: this.workers,
      ...this.pool.counts,
      ...this.counters,
      inThread: this.here?.evaluations ?? 0,
      handedOver: this.here?.stopped ?? 0,
      replaced: this.pool.replaced,
      renewed: this.pool.renewed,
      dataProblem: this.pool.dataProblem,
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.here?.close();
    await this.pool.close();
  }

  /**
   * Runs the rules; when a policy had to be cut off, the others run again without it, as long as the deadline leaves
   * time.
   */
  private async runAll(selected: readonly number[], input: Uint8Array, deadline: number): Promise<Outcome> {
    let rules = selected;
    const cutOff: RuleFailure[] = [];
    while (rules.length > 0) {
      const result = await this.runOnce(rules, input, deadline - DEADLINE_MARGIN_MS, cutOff.length > 0);
      if (result.type === 'reply') return { reply: result.reply, rules, cutOff };
      rules = this.failCulprit(rules, result, cutOff);
    }
    return { reply: undefined, rules, cutOff };
  }

  private async runOnce(
    rules: readonly number[],
    input: Uint8Array,
    deadline: number,
    again: boolean,
  ): Promise<RunResult> {
    // A copy of its own: it may have to be sent twice, and `input` may be a view into a buffer that others use.
    const job = { id: this.nextId++, input: Buffer.from(input), rules };
    try {
      return await this.pool.run(job, this.timeLimitMs, deadline);
    } catch (error) {
      // The first run's overload is the caller's to answer; later ones must not hide what is known already.
      if (again) return { type: 'timeout', rule: undefined };
      this.counters.overloads++;
      throw error;
    }
  }

  /**
   * Records the failure of the policy at which the worker stood, of all when it stood at none, and returns the rules
   * that remain.
   */
  private failCulprit(
    todo: readonly number[],
    result: Exclude<RunResult, { type: 'reply' }>,
    failures: RuleFailure[],
  ): number[] {
    const code = result.type === 'timeout' ? 'POLICY_TIMEOUT' : 'POLICY_FAILED';
    if (result.type === 'timeout') this.counters.timeouts++;
    const culprit = result.rule === undefined ? undefined : this.rule(result.rule).policy;
    const failed = culprit === undefined ? todo : todo.filter((rule) => this.rule(rule).policy === culprit);
    const place = result.rule === undefined ? undefined : placeOf(this.rule(result.rule));
    const message = describeEnd(result, place, this.timeLimitMs);
    failures.push(...failed.map((rule) => ({ rule, code, message }) as const));
    return culprit === undefined ? [] : todo.filter((rule) => this.rule(rule).policy !== culprit);
  }

  private verdict(selected: readonly number[], { reply, rules, cutOff }: Outcome, started: number): Evaluation {
    this.counters.evaluations++;
    this.counters.recycled += reply?.recycled ?? 0;
    const results = reply === undefined || reply.outcomes.length === 0 ? NONE : this.results(reply.outcomes);
    const failed = reply === undefined || reply.failures.length === 0 ? cutOff : [...cutOff, ...reply.failures];
    const failures = failed.length === 0 ? NONE : mergeFailures(failed.map((failure) => this.failure(failure)));
    const prints = reply === undefined || reply.prints.length === 0 ? NONE : this.prints(reply.prints);
    const evaluation = {
      allowed: !results.some(isDenial) && !failures.some(isDenial),
      results,
      failures,
      prints,
      evaluated: this.policiesOf(selected),
      times: reply === undefined ? NONE : this.times(rules, reply.ms),
      bundle: this.bundle.digest,
      ms: performance.now() - started,
    };
    const revision = reply?.revision ?? 0;
    return revision === 0 ? evaluation : { ...evaluation, data: { revision, about: this.data.about(revision) } };
  }

  private results(outcomes: Reply['outcomes']): PolicyResult[] {
    return outcomes.flatMap(({ rule, members }) => {
      const { policy, rule: name, action, severity, controls, remediation } = this.rule(rule);
      const common = {
        policy,
        rule: name,
        action,
        severity,
        controls,
        ...(remediation === undefined ? {} : { remediation }),
      };
      return members.map((member) => ({ ...common, ...member }));
    });
  }

  private prints(prints: Reply['prints']): PolicyPrint[] {
    return prints.map(({ rule, message }) => ({ policy: this.rule(rule).policy, message }));
  }

  /** Each once: the rules are in order, and those of a policy next to one another. */
  private policiesOf(rules: readonly number[]): string[] {
    const policies: string[] = [];
    for (const rule of rules) {
      const { policy } = this.rule(rule);
      if (policy !== policies.at(-1)) policies.push(policy);
    }
    return policies;
  }

  private times(rules: readonly number[], ms: readonly number[]): PolicyTime[] {
    const times: { policy: string; ms: number }[] = [];
    let last: { policy: string; ms: number } | undefined;
    for (let i = 0; i < rules.length; i++) {
      const { policy } = this.rule(rules[i] as number);
      if (last?.policy !== policy) {
        last = { policy, ms: 0 };
        times.push(last);
      }
      last.ms += ms[i] ?? 0;
    }
    return times;
  }

  private failure({ rule, code, message }: RuleFailure): PolicyFailure {
    const { policy, onError } = this.rule(rule);
    return { policy, code, message, action: onError === 'allow' ? 'warn' : 'deny' };
  }

  private rule(index: number): BundleRule {
    const rule = this.rules[index];
    if (rule === undefined) throw new RangeError(`no rule ${index}`);
    return rule;
  }
}

function isDenial({ action }: { readonly action: string }): boolean {
  return action === 'deny';
}

function describeEnd(
  result: Exclude<RunResult, { type: 'reply' }>,
  place: string | undefined,
  timeLimitMs: number,
): string {
  const where = place === undefined ? '' : ` (${place})`;
  if (result.type === 'crash') return `the evaluation was lost with its worker: ${result.reason}${where}`;
  if (place !== undefined)
    return `cut off: it did not finish within ${timeLimitMs} ms or the deadline of the request${where}`;
  return 'not evaluated: the time of the request was up';
}

/** One failure a policy and message; deny wins where its rules differ. */
function mergeFailures(failures: readonly PolicyFailure[]): PolicyFailure[] {
  const merged = new Map<string, PolicyFailure>();
  for (const failure of failures) {
    const key = `${failure.policy}\n${failure.code}\n${failure.message}`;
    if (merged.get(key)?.action !== 'deny') merged.set(key, failure);
  }
  return [...merged.values()];
}
