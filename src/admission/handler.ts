// POST /v1/admit: from an AdmissionReview to a recorded decision to its answer. The answer leaves after the decision is on
// disk, or not at all.

import type { Append, Appended } from '../ledger/entry.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { HttpAnswer, HttpHandler, HttpRequest } from '../lib/http.ts';
import { JsonDocument } from '../lib/json-document.ts';
import { answerRefusal, codedError, type Refusal, refusalOf, refusePost } from '../lib/json-http.ts';
import type { Evaluation } from '../policy/types.ts';
import { deadlineOf } from './deadline.ts';
import { decisionEntry, undeliveredEntry } from './record.ts';
import { annotationOf, responseBody, unrecordedBody } from './response.ts';
import { type Review, readReview } from './review.ts';
import type { AdmissionParts } from './types.ts';
import { failedVerdict, isFailure, recordable, type Verdict } from './verdict.ts';

/** The engine keeps the deadline itself; this long after it nobody waits for it any more. */
const ENGINE_GRACE_MS = 100;

interface Parts extends AdmissionParts {
  /** One table for all requests: each is done with it before anything is awaited. */
  readonly doc: JsonDocument;
}

/**
 * Never rejects: whatever happens has an answer. No async functions here: nearly always the only thing to wait for is the ledger, and
 * each of them would be one more promise on the way.
 */
export function createAdmissionHandler(parts: AdmissionParts): HttpHandler {
  const own: Parts = { ...parts, doc: new JsonDocument() };
  return (request) => {
    try {
      return admit(own, request);
    } catch (thrown) {
      return Promise.resolve(refuseThrown(parts, thrown));
    }
  };
}

function admit(parts: Parts, request: HttpRequest): Promise<HttpAnswer> {
  const { doc } = parts;
  const refusal = refusePost(request);
  if (refusal !== undefined) return Promise.resolve(refuse(parts, refusal));
  const began = performance.now();
  const review = readReview(request.body, doc, parts.settings.maxDepth);
  const redacted = parts.redactor.review(doc);
  if (redacted.changed) parts.metrics.redacted();
  const read = performance.now();
  const evaluating = evaluate(parts, request, review, read);
  const decided = (evaluation: Evaluation): Promise<HttpAnswer> => {
    const verdict = recordable(evaluation, redacted);
    const took = { receive: began - request.receivedAt, read: read - began, policies: performance.now() - read };
    return record(parts, request, review, verdict, decisionEntry(review.uid, request.peer, verdict, took, redacted));
  };
  // Most are there at once: to wait for them would let others go first.
  if (!(evaluating instanceof Promise)) return decided(evaluating);
  return evaluating.then(decided).catch((thrown: unknown) => refuseThrown(parts, thrown));
}

/** Records the decision, then answers. */
function record(
  parts: AdmissionParts,
  request: HttpRequest,
  review: Review,
  verdict: Verdict,
  entry: Append,
): Promise<HttpAnswer> {
  const failed = (thrown: unknown): HttpAnswer => {
    try {
      return unrecorded(parts, review, verdict, coded(parts, thrown));
    } catch (again) {
      return refuseThrown(parts, again);
    }
  };
  const landed = ([first]: readonly Appended[]): HttpAnswer => {
    if (first === undefined) return failed(new SealgateError('LEDGER_WRITE_FAILED', 'the ledger named no entry'));
    try {
      return recorded(parts, request, review, verdict, first);
    } catch (thrown) {
      return refuseThrown(parts, thrown);
    }
  };
  try {
    return parts.ledger.append('decision', [entry]).then(landed, failed);
  } catch (thrown) {
    return Promise.resolve(failed(thrown));
  }
}

/** The verdict of the policies, or a denial that says why there is none. */
function evaluate(parts: Parts, request: HttpRequest, review: Review, now: number): Evaluation | Promise<Evaluation> {
  const bundle = parts.engine.bundle.digest;
  const deadline = deadlineOf(request.receivedAt, request.query.get('timeout'), parts.settings);
  const left = deadline - now;
  if (left <= 0)
    return failedVerdict('POLICY_TIMEOUT', 'the time for an answer had passed before policies ran', bundle);
  const failed = (thrown: unknown): Evaluation => {
    const code = thrown instanceof SealgateError ? thrown.code : 'POLICY_FAILED';
    return failedVerdict(code, messageOf(thrown), bundle);
  };
  try {
    const answer = parts.engine.evaluate(review.facts, request.body, deadline, parts.doc);
    return answer instanceof Promise ? inTime(answer.catch(failed), left, bundle) : answer;
  } catch (thrown) {
    return failed(thrown);
  }
}

/** What the engine says, or that it said nothing in so many milliseconds. */
async function inTime(answer: Promise<Evaluation>, left: number, bundle: string): Promise<Evaluation> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<Evaluation>((resolve) => {
    timer = setTimeout(
      () => resolve(failedVerdict('POLICY_TIMEOUT', 'the policies gave no answer within the time for it', bundle)),
      left + ENGINE_GRACE_MS,
    );
  });
  try {
    return await Promise.race([answer, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

function recorded(
  parts: AdmissionParts,
  request: HttpRequest,
  review: Review,
  verdict: Verdict,
  appended: Appended,
): HttpAnswer {
  const seconds = (performance.now() - request.receivedAt) / 1000;
  parts.metrics.decided(verdict.allowed ? 'allowed' : isFailure(verdict) ? 'failed' : 'denied', seconds);
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: responseBody(review.uid, verdict, annotationOf(parts.ledger.origin, appended)),
    onSent: (delivered) => {
      if (!delivered) recordUndelivered(parts, review, appended);
    },
  };
}

function recordUndelivered(parts: AdmissionParts, review: Review, decision: Appended): void {
  parts.metrics.undelivered();
  parts.ledger.append('decision', [undeliveredEntry(review.uid, decision)]).catch((thrown: unknown) => {
    const { seq, shard } = decision;
    parts.log.error(
      { uid: review.uid, shard, seq, error: messageOf(thrown) },
      'the client left before it had the answer, and that could not be recorded',
    );
  });
}

/** docs/decisions/0004-unrecordable.md says why. */
function unrecorded(parts: AdmissionParts, review: Review, verdict: Verdict, error: SealgateError): HttpAnswer {
  const { uid, facts } = review;
  const fields = { uid, operation: facts.operation, resource: facts.resource, code: error.code, error: error.message };
  const { onUnrecordable } = parts.settings;
  if (onUnrecordable === 'error') {
    parts.metrics.unrecorded(error.code, 'error');
    parts.log.error(fields, 'a decision could not be recorded: no verdict was given');
    return refuse(parts, {
      status: 503,
      code: error.code,
      message: `the decision could not be recorded: ${error.message}`,
    });
  }
  const headers = { 'content-type': 'application/json' };
  if (onUnrecordable === 'deny') {
    parts.metrics.unrecorded(error.code, 'denied');
    parts.log.error(fields, 'a decision could not be recorded: the request was denied');
    return { status: 200, headers, body: unrecordedBody(uid, error.code) };
  }
  parts.metrics.unrecorded(error.code, verdict.allowed ? 'allowed' : 'denied');
  const text = 'a decision could not be recorded: the verdict was given all the same';
  parts.log.error({ ...fields, allowed: verdict.allowed }, text);
  const warning = `Sealgate could not record its decision about this request (${error.code})`;
  return { status: 200, headers, body: responseBody(uid, verdict, undefined, [warning]) };
}

function coded(parts: AdmissionParts, thrown: unknown): SealgateError {
  return codedError(thrown, (stack) => parts.log.error({ stack }, 'a review could not be handled'));
}

function refuseThrown(parts: AdmissionParts, thrown: unknown): HttpAnswer {
  return refuse(parts, refusalOf(coded(parts, thrown)));
}

function refuse(parts: AdmissionParts, refusal: Refusal): HttpAnswer {
  parts.metrics.refused(refusal.code);
  return answerRefusal(refusal);
}
