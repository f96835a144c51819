// Until when an AdmissionReview has to be answered.

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // micro sign, U+00B5
  μs: 1e-3, // Greek mu, U+03BC
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** What was parsed last: an API server puts the same text on all its calls. */
let last: { readonly text: string | null; readonly ms: number | undefined } = { text: null, ms: undefined };

/**
 * Milliseconds of the `timeout` parameter that kube-apiserver puts on the call: a Go duration (`10s`, `1m30s`, `500ms`), or
 * a number of seconds. Undefined when there is none, or it is nothing that could be a time limit.
 */
export function parseTimeout(text: string | null): number | undefined {
  if (last.text !== text) last = { text, ms: parse(text) };
  return last.ms;
}

function parse(text: string | null): number | undefined {
  if (text === null || text.length > 64) return undefined;
  let ms = 0;
  if (/^\d+(?:\.\d+)?$/.test(text)) ms = Number(text) * 1000;
  else if (/^(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) {
    for (const [, number, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)([a-zµμ]+)/g)) {
      ms += Number(number) * (UNITS[unit] ?? Number.NaN);
    }
  }
  return ms > 0 && Number.isFinite(ms) ? ms : undefined;
}

export interface DeadlineSettings {
  /** Most time for an answer. */
  readonly maxDeadlineMs: number;
  /** Part of the time kept back for recording and answering. */
  readonly deadlineMarginMs: number;
}

/**
 * When the policies have to be done, on the clock of performance.now(). A call that allows less than twice the margin
 * leaves them half of it: a decision that is recorded but comes too late helps nobody, nor does one without policies.
 */
export function deadlineOf(receivedAt: number, timeout: string | null, settings: DeadlineSettings): number {
  const total = Math.min(parseTimeout(timeout) ?? Number.POSITIVE_INFINITY, settings.maxDeadlineMs);
  return receivedAt + Math.max(total - settings.deadlineMarginMs, total / 2);
}
