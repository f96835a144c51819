// `sealgate policy eval`: what a policy folder says about one request, by the engine that the pod uses.
import { startEngine } from '../policy/engine.ts';
import type { Evaluation } from '../policy/types.ts';
import { fail, UsageError } from './failure.ts';
import { readDecision } from './policy-recorded.ts';
import { type GivenReview, readGiven, type WrapFlags } from './policy-review.ts';
import { formatPolicies, requestText } from './policy-verdict.ts';

export interface EvalFlags extends WrapFlags {
  readonly opa: string;
  readonly policies: string;
  readonly timeLimit: number;
  readonly seq?: string;
  readonly dataDir: string;
  readonly json?: boolean;
}

const DENIED = 16;
/** Compiling, and waiting for a worker, are not what the policies are given their time for. */
const PATIENCE_MS = 600_000;

export async function runEval(file: string | undefined, flags: EvalFlags): Promise<number> {
  try {
    const { review, redacted } = reviewOf(file, flags);
    const evaluation = await evaluateOnce(flags, review);
    const report = { report: 1, ...evaluation, redacted };
    process.stdout.write(
      flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : format(review, evaluation, redacted),
    );
    return evaluation.allowed ? 0 : DENIED;
  } catch (thrown) {
    return fail('policy eval', thrown);
  }
}

function reviewOf(file: string | undefined, flags: EvalFlags): { review: GivenReview; redacted: boolean } {
  if ((file === undefined) === (flags.seq === undefined))
    throw new UsageError('give a file, or a recorded decision with --seq: one of the two');
  if (file === undefined) return readDecision(flags.dataDir, flags.seq ?? '');
  const { operation, user, userGroup, namespace, oldObject } = flags;
  const review = readGiven(file, {
    ...(operation === undefined ? {} : { operation }),
    ...(user === undefined ? {} : { user }),
    ...(userGroup === undefined ? {} : { userGroup }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(oldObject === undefined ? {} : { oldObject }),
  });
  return { review, redacted: review.bytes.includes('[redacted') };
}

export async function evaluateOnce(
  { opa, policies, timeLimit }: Pick<EvalFlags, 'opa' | 'policies' | 'timeLimit'>,
  { facts, bytes }: GivenReview,
): Promise<Evaluation> {
  const engine = await startEngine({ dir: policies, opa, workers: 1, timeLimitMs: timeLimit, maxPending: 1 });
  try {
    return await engine.evaluate(facts, bytes, performance.now() + PATIENCE_MS);
  } finally {
    await engine.close();
  }
}

export const REDACTION_NOTE =
  'Values were removed from this review before it was recorded ("[redacted]"): a policy that looks at them may decide otherwise.';

function format({ facts }: GivenReview, evaluation: Evaluation, redacted: boolean): string {
  const { allowed, evaluated, ms, bundle } = evaluation;
  const lines = [
    requestText(facts),
    ...formatPolicies(evaluation),
    '',
    ...(redacted ? [REDACTION_NOTE] : []),
    `bundle ${bundle}`,
    `${allowed ? 'ALLOWED' : 'DENIED'}: ${evaluated.length} ${evaluated.length === 1 ? 'policy' : 'policies'} asked, ${ms.toFixed(1)} ms`,
  ];
  return `${lines.join('\n')}\n`;
}
