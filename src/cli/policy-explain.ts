// `sealgate policy explain`: why a recorded decision is as it is. What the record says, and, with the very policies that
// decided, which rules held with which values.
import { withStaged } from '../policy/bundle.ts';
import { digestSources } from '../policy/sources.ts';
import { type Firing, traceRules } from '../policy/trace.ts';
import type { Evaluation } from '../policy/types.ts';
import { fail } from './failure.ts';
import { evaluateOnce, REDACTION_NOTE } from './policy-eval.ts';
import { type RecordedDecision, readDecision } from './policy-recorded.ts';
import { formatPolicies, requestText } from './policy-verdict.ts';
import { escapeTerminal } from './terminal.ts';

export interface ExplainFlags {
  readonly opa: string;
  readonly policies: string;
  readonly timeLimit: number;
  readonly dataDir: string;
  readonly json?: boolean;
}

interface Again {
  readonly allowed: boolean;
  /** Whether the same rules said the same. */
  readonly same: boolean;
  readonly firings: readonly Firing[];
}

export async function runExplain(place: string, flags: ExplainFlags): Promise<number> {
  try {
    const decision = readDecision(flags.dataDir, place);
    const { digest, again } = await withStaged(flags.policies, async (staged) => {
      const { digest } = digestSources(staged.sources);
      if (digest !== decision.bundle) return { digest, again: undefined };
      const evaluation = await evaluateOnce(flags, decision.review);
      const fired = new Set(evaluation.results.map(({ policy, rule }) => `${policy}.${rule}`));
      const firings = await traceRules(flags.opa, staged, [...fired], decision.review.bytes);
      return { digest, again: { allowed: evaluation.allowed, same: saidTheSame(decision, evaluation), firings } };
    });
    const text =
      flags.json === true ? asJson(decision, digest, again) : format(decision, flags.policies, digest, again);
    process.stdout.write(text);
    return 0;
  } catch (thrown) {
    return fail('policy explain', thrown);
  }
}

function saidTheSame({ verdict }: RecordedDecision, evaluation: Evaluation): boolean {
  const said = ({ allowed, results, failures }: Pick<Evaluation, 'allowed' | 'results' | 'failures'>): string =>
    JSON.stringify([
      allowed,
      results.map(({ policy, rule, message }) => [policy, rule, message]).sort(),
      failures.map(({ policy, code }) => [policy, code]).sort(),
    ]);
  return said(verdict) === said(evaluation);
}

function asJson(decision: RecordedDecision, digest: string, again: Again | undefined): string {
  const { review, ...recorded } = decision;
  return `${JSON.stringify({ report: 1, recorded: { ...recorded, request: review.facts }, policies: digest, again: again ?? null }, null, 2)}\n`;
}

function format(decision: RecordedDecision, folder: string, digest: string, again: Again | undefined): string {
  const { origin, shard, seq, time, verdict, review, bundle, redacted } = decision;
  const lines = [
    `Decision ${shard}/${seq} of ${escapeTerminal(origin)} at ${time}: ${verdict.allowed ? 'ALLOWED' : 'DENIED'}`,
    requestText(review.facts),
    '',
    'On record',
    ...formatPolicies(verdict),
    ...(verdict.omitted === undefined
      ? []
      : [`  ${verdict.omitted} results, failures and prints were left out of the record`]),
    '',
    ...(again === undefined ? otherPolicies(folder, digest, bundle) : evaluatedAgain(folder, again)),
    ...(redacted ? ['', REDACTION_NOTE] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function otherPolicies(folder: string, digest: string, bundle: string): string[] {
  return [
    `Not evaluated again: ${escapeTerminal(folder)} does not hold the policies that decided.`,
    `  on record ${bundle}`,
    `  in folder ${digest}`,
    'Check out the policies of that time and name their folder with --policies.',
  ];
}

function evaluatedAgain(folder: string, { allowed, same, firings }: Again): string[] {
  const verdict = allowed ? 'allowed' : 'denied';
  const outcome = same
    ? `Evaluated again with ${folder}: ${verdict}, and the same rules say the same.`
    : `Evaluated again with ${folder}: ${verdict}, but not with the same messages. Time, or a value that was removed, makes a difference.`;
  const lines = firings.flatMap(({ rule, file, line, values }) => [
    `  ${file}:${line}  ${rule}`,
    ...values.map(({ name, value }) => `      ${name} = ${value}`),
  ]);
  const title = lines.length === 0 ? ['No rule fired.'] : ['', 'Rules that held, and helpers that they used'];
  return [outcome, ...title, ...lines].map(escapeTerminal);
}
