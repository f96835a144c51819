// How fast a bundle is: its rules on reviews, one after the other in this thread, without the door, the redaction and the ledger
// that a request goes through in the pod.

import { type CompiledBundle, rulesOf } from './bundle.ts';
import { DEFAULT_MEMORY } from './engine.ts';
import { Evaluator } from './evaluator.ts';
import { MatchIndex } from './match.ts';
import type { MatchFacts } from './types.ts';

export interface MeasuredReview {
  readonly facts: MatchFacts;
  readonly bytes: Uint8Array;
}

export interface Speed {
  /** Package name; `all` for all policies of the bundle together. */
  readonly policy: string;
  /** Reviews that the policy looks at. */
  readonly reviews: number;
  readonly evaluations: number;
  /** Evaluations that gave no verdict. */
  readonly failed: number;
  /** Evaluations a second; the parsing of the review is part of each. */
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface MeasureOptions {
  readonly bundle: CompiledBundle;
  readonly reviews: readonly MeasuredReview[];
  /** Time for each policy, and for all. */
  readonly ms: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number;
}

/** Evaluations before it counts: until then the module is still being compiled. */
const WARM_UP = 200;
const ALL = 'all';

/** All policies together first, then each by its name; one that looks at none of the reviews has 0 of everything. */
export async function measure({ bundle, reviews, ms, clock }: MeasureOptions): Promise<Speed[]> {
  const rules = rulesOf(bundle.info.policies);
  const module = await WebAssembly.compile(new Uint8Array(bundle.wasm));
  const setup = { module, data: bundle.data, rules, stage: new SharedArrayBuffer(4), limits: DEFAULT_MEMORY };
  const evaluator = new Evaluator(setup, () => BigInt(Date.now()) * 1_000_000n);
  const index = new MatchIndex(rules.map(({ match }) => match));
  return [ALL, ...bundle.info.policies.map(({ policy }) => policy)].map((policy) => {
    const jobs = reviews.flatMap(({ facts, bytes }) => {
      const selected = index.select(facts).filter((rule) => policy === ALL || rules[rule]?.policy === policy);
      return selected.length === 0
        ? []
        : [{ type: 'job' as const, id: 0, input: new Uint8Array(bytes), rules: selected }];
    });
    const none = { policy, reviews: jobs.length, evaluations: 0, failed: 0, perSecond: 0, p50: 0, p99: 0 };
    if (jobs.length === 0) return none;
    const run = (i: number): boolean => evaluator.run(at(jobs, i)).failures.length > 0;
    for (let i = 0; i < WARM_UP; i++) run(i);
    const times: number[] = [];
    let failed = 0;
    const began = clock();
    for (let last = began; last - began < ms; ) {
      if (run(times.length)) failed++;
      const now = clock();
      times.push(now - last);
      last = now;
    }
    const seconds = (clock() - began) / 1000;
    times.sort((a, b) => a - b);
    const quantile = (q: number): number => at(times, Math.min(times.length - 1, Math.floor(times.length * q)));
    const evaluations = times.length;
    return { ...none, evaluations, failed, perSecond: evaluations / seconds, p50: quantile(0.5), p99: quantile(0.99) };
  });
}

function at<T>(list: readonly T[], i: number): T {
  const item = list[i % list.length];
  if (item === undefined) throw new RangeError('an empty list');
  return item;
}
