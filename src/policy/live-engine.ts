// The engine that the pod uses: one that can be exchanged for another while requests are evaluated, and that waits for data which
// are not there yet.
import { SealgateError } from '../lib/errors.ts';
import type { JsonDocument } from '../lib/json-document.ts';
import type { BundleInfo, EngineStats, Evaluation, MatchFacts, PolicyEngine } from './types.ts';

interface InUse {
  readonly engine: PolicyEngine;
  /** Evaluations that have begun and not ended. */
  running: number;
  /** Called when it is no longer used and the last has ended. */
  onIdle?: () => void;
}

export class LiveEngine implements PolicyEngine {
  #inUse: InUse;
  readonly #ending = new Set<Promise<void>>();
  /** What policies that look at the inventory wait for. */
  #awaited: Promise<void> | undefined;

  constructor(engine: PolicyEngine, awaited?: Promise<void>) {
    this.#inUse = { engine, running: 0 };
    this.#awaited = awaited;
    void awaited?.then(() => {
      this.#awaited = undefined;
    });
  }

  get bundle(): BundleInfo {
    return this.#inUse.engine.bundle;
  }

  evaluate(
    facts: MatchFacts,
    input: Uint8Array,
    deadline: number,
    scanned?: JsonDocument,
  ): Evaluation | Promise<Evaluation> {
    const used = this.#inUse;
    const { engine } = used;
    if (this.#awaited !== undefined && engine.bundle.usesInventory)
      return running(
        used,
        // By then the table is of another request.
        this.#wait(deadline).then(() => engine.evaluate(facts, input, deadline)),
      );
    const answer = engine.evaluate(facts, input, deadline, scanned);
    return answer instanceof Promise ? running(used, answer) : answer;
  }

  stats(): EngineStats {
    return this.#inUse.engine.stats();
  }

  /** Every evaluation that begins from now on is the next one's; the one before is closed after its last. */
  exchange(next: PolicyEngine): void {
    const before = this.#inUse;
    this.#inUse = { engine: next, running: 0 };
    const idle = new Promise<void>((resolve) => {
      if (before.running === 0) resolve();
      else before.onIdle = resolve;
    });
    const ending = idle.then(() => before.engine.close()).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async close(): Promise<void> {
    await Promise.all([this.#inUse.engine.close(), ...this.#ending]);
  }

  async #wait(deadline: number): Promise<void> {
    const awaited = this.#awaited;
    if (awaited === undefined) return;
    const late = Promise.withResolvers<never>();
    const error = new SealgateError(
      'POLICY_OVERLOADED',
      'the inventory of the cluster has not been read yet, and policies look at it',
    );
    const timer = setTimeout(() => late.reject(error), Math.max(0, deadline - performance.now()));
    try {
      await Promise.race([awaited, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The engine is not closed before this has ended. */
async function running(used: InUse, answer: Promise<Evaluation>): Promise<Evaluation> {
  used.running++;
  try {
    return await answer;
  } finally {
    used.running--;
    if (used.running === 0) used.onIdle?.();
  }
}
