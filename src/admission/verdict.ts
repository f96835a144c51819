// What the policies said, as it may be recorded and answered: scrubbed of removed values, bounded, and a failure of the engine
// itself put in the form of a verdict.
import type { ErrorCode } from '../lib/errors.ts';
import type { Redacted } from '../lib/redaction.ts';
import type { Evaluation, PolicyFailure, PolicyResult } from '../policy/types.ts';

/** Named where a failure is not that of one policy. */
export const ENGINE = 'sealgate';

/** Results, failures and prints that are kept of each; the engine bounds those of one rule, a bundle may have many rules. */
const MAX_KEPT = 1000;
const MAX_MESSAGE_CHARS = 8192;

export interface Verdict {
  readonly allowed: boolean;
  readonly results: readonly PolicyResult[];
  readonly failures: readonly PolicyFailure[];
  readonly prints: Evaluation['prints'];
  readonly evaluated: readonly string[];
  readonly bundle: string;
  /** With which update of the changing data, and what is known of it: how new the inventory is. */
  readonly data?: { readonly revision: number; readonly [about: string]: unknown };
  /** How many results, failures and prints were left out. */
  readonly omitted?: number;
}

/** The verdict when no policy gave one: a denial, and the reason. */
export function failedVerdict(code: ErrorCode, message: string, bundle: string): Evaluation {
  const failure: PolicyFailure = { policy: ENGINE, code, message, action: 'deny' };
  return { allowed: false, results: [], failures: [failure], prints: [], evaluated: [], times: [], bundle, ms: 0 };
}

/** Whether a verdict is a denial for want of an answer, with no policy against the request. */
export function isFailure({ allowed, results }: Verdict): boolean {
  return !allowed && !results.some(({ action }) => action === 'deny');
}

/** The verdict without quotations of what the redaction removed. */
export function recordable(evaluation: Evaluation, redacted: Redacted): Verdict {
  const { allowed, results, failures, prints, evaluated, bundle, data } = evaluation;
  const verdict = {
    allowed,
    results: results.length === 0 ? results : kept(results).map((result) => scrubbedResult(result, redacted)),
    failures: failures.length === 0 ? failures : kept(failures).map((failure) => scrubbed(failure, redacted)),
    prints: prints.length === 0 ? prints : prints.slice(0, MAX_KEPT).map((print) => scrubbed(print, redacted)),
    evaluated,
    bundle,
  };
  const omitted = beyond(results) + beyond(failures) + beyond(prints);
  if (data === undefined && omitted === 0) return verdict;
  return {
    ...verdict,
    ...(data === undefined ? {} : { data: { revision: data.revision, ...data.about } }),
    ...(omitted > 0 ? { omitted } : {}),
  };
}

function scrubbed<T extends { readonly message: string }>(said: T, redacted: Redacted): T {
  return { ...said, message: cut(redacted.scrub(said.message)) };
}

function scrubbedResult(result: PolicyResult, redacted: Redacted): PolicyResult {
  const { details } = result;
  const kept = scrubbed(result, redacted);
  return details === undefined ? kept : { ...kept, details: redacted.scrubValue(details) };
}

/** The denials first: they are the last to be left out. */
function kept<T extends { readonly action: string }>(list: readonly T[]): readonly T[] {
  if (list.length <= MAX_KEPT) return list;
  return list.toSorted((a, b) => Number(b.action === 'deny') - Number(a.action === 'deny')).slice(0, MAX_KEPT);
}

function beyond(list: readonly unknown[]): number {
  return Math.max(0, list.length - MAX_KEPT);
}

function cut(text: string): string {
  return text.length <= MAX_MESSAGE_CHARS ? text : `${text.slice(0, MAX_MESSAGE_CHARS)}…`;
}
