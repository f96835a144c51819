// The AdmissionReview that answers, from the recorded verdict.
import type { Appended } from '../ledger/entry.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { ENGINE, isFailure, type Verdict } from './verdict.ts';

/** A denial's message travels in a Status and is printed by kubectl on one line. */
const MAX_MESSAGE_CHARS = 4096;
/**
 * kube-apiserver passes on 4,096 characters of warnings; past that it cuts each to 256 and drops the rest
 * (k8s.io/apiserver/pkg/endpoints/filters/warning.go). Cutting here instead keeps the beginning of as many as possible, and
 * says how many are missing.
 */
const MAX_WARNING_CHARS = 4096;
const MAX_CUT_WARNING_CHARS = 256;

interface Status {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: { readonly retryAfterSeconds: number };
}

/** The body of the response. `uid` is a UUID. `annotation` names the entry; absent when there is none. */
export function responseBody(
  uid: string,
  verdict: Verdict,
  annotation: string | undefined,
  more: readonly string[] = [],
): string {
  const found = warningsOf(verdict);
  const warnings = found.length + more.length === 0 ? found : boundedWarnings([...more, ...found]);
  // Put together by hand: an object with a member named after the uid would be of a shape of its own, for V8 to build and keep.
  let response = `"uid":"${uid}","allowed":${verdict.allowed}`;
  if (!verdict.allowed) response += `,"status":${JSON.stringify(statusOf(verdict))}`;
  if (warnings.length > 0) response += `,"warnings":${JSON.stringify(warnings)}`;
  if (annotation !== undefined) response += `,"auditAnnotations":{"d.${uid}":${JSON.stringify(annotation)}}`;
  return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{${response}}}`;
}

/**
 * The denial of a request whose decision has no record. A Status with 503 and a time after which to come again: client-go and
 * kubectl then do so by themselves.
 */
export function unrecordedBody(uid: string, code: ErrorCode): string {
  const message = `Sealgate could not record its decision about this request (${code}), and denies what it cannot record: try again, and tell the administrators of the cluster if it lasts`;
  const status: Status = { code: 503, reason: 'ServiceUnavailable', message, details: { retryAfterSeconds: 1 } };
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid, allowed: false, status },
  });
}

/** `<origin>:<seq>:<leaf hash>`. The origin's last part is the shard's number, and the shard may just have changed. */
export function annotationOf(origin: string, { shard, seq, leafHash }: Appended): string {
  return `${origin.slice(0, origin.lastIndexOf('/'))}/${shard}:${seq}:${leafHash}`;
}

/**
 * 403 Forbidden, with what every policy that denies has to say. When it was only load, 429 with a time after which to come
 * again: client-go and kubectl then do so by themselves.
 */
function statusOf(verdict: Verdict): Status {
  const denials = verdict.results.filter(({ action }) => action === 'deny');
  const failures = verdict.failures.filter(({ action }) => action === 'deny');
  const texts = [
    ...denials.map(denialText),
    ...failures.map(({ policy, code, message }) => `${failed(policy)} (${code}): ${message}`),
  ];
  const message = cut(texts.map(oneLine).join('; '), MAX_MESSAGE_CHARS);
  const overloaded = isFailure(verdict) && failures.every(({ code }) => code === 'POLICY_OVERLOADED');
  if (!overloaded) return { code: 403, reason: 'Forbidden', message };
  return { code: 429, reason: 'TooManyRequests', message, details: { retryAfterSeconds: 1 } };
}

/** What is wrong, and what whoever was refused can do about it. */
function denialText({ policy, message, remediation }: Verdict['results'][number]): string {
  return remediation === undefined ? `${policy}: ${message}` : `${policy}: ${message} (${remediation})`;
}

function warningsOf(verdict: Verdict): string[] {
  if (verdict.results.length === 0 && verdict.failures.length === 0) return [];
  return [
    ...verdict.results.filter(({ action }) => action === 'warn').map(({ policy, message }) => `${policy}: ${message}`),
    ...verdict.failures
      .filter(({ action }) => action === 'warn')
      .map(({ policy, code, message }) => `${failed(policy)} (${code}): ${message}`),
  ];
}

function failed(policy: string): string {
  return policy === ENGINE ? 'no policy was asked' : `${policy} gave no answer`;
}

/** The warnings, each on one line, in no more characters than arrive. */
export function boundedWarnings(warnings: readonly string[]): string[] {
  const lines = warnings.map(oneLine).filter((line) => line !== '');
  const total = lines.reduce((sum, line) => sum + line.length, 0);
  if (total <= MAX_WARNING_CHARS) return lines;
  const kept: string[] = [];
  // Room for the last one, which counts the others.
  let room = MAX_WARNING_CHARS - 64;
  for (const line of lines) {
    const short = cut(line, MAX_CUT_WARNING_CHARS);
    if (short.length > room) break;
    room -= short.length;
    kept.push(short);
  }
  if (kept.length < lines.length) kept.push(`… and ${lines.length - kept.length} more warnings`);
  return kept;
}

/**
 * Text for a header and a terminal: no control characters or line breaks, nothing that turns the direction of writing, no
 * half of a surrogate pair. What a header may not hold, kube-apiserver would drop the whole warning for.
 */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu, ' ')
    .trim();
}

/** At most `limit` characters, the last one an ellipsis when something is missing. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
