// A request as the listener hands it on, reviews, and an engine that says what a test wants it to say.
import type { HttpAnswer, HttpRequest } from '../../../src/lib/http.ts';
import type { JsonDocument } from '../../../src/lib/json-document.ts';
import type { Evaluation, MatchFacts, PolicyResult } from '../../../src/policy/types.ts';

export const BUNDLE = `sha256:${'b'.repeat(64)}`;
export const UID = '57064fd0-a7da-4497-94ec-85d0b6b42899';

export function requestOf(body: string | Buffer, rest: Partial<HttpRequest> & { search?: string } = {}): HttpRequest {
  const { search = '', ...given } = rest;
  return {
    method: 'POST',
    path: '/v1/admit',
    query: new URLSearchParams(search),
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(body),
    peer: { address: '192.0.2.1' },
    receivedAt: performance.now(),
    signal: new AbortController().signal,
    ...given,
  };
}

export function reviewOf(request: object = {}): Record<string, unknown> & { request: Record<string, unknown> } {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: UID,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'shop',
      name: 'web',
      userInfo: { username: 'alice' },
      object: { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web', labels: { app: 'web' } } },
      oldObject: null,
      dryRun: false,
      ...request,
    },
  };
}

export function result(message: string, rest: Partial<PolicyResult> = {}): PolicyResult {
  return {
    policy: 'admission.images',
    rule: 'deny',
    action: 'deny',
    severity: 'high',
    message,
    controls: [],
    ...rest,
  };
}

export function evaluation(rest: Partial<Evaluation> = {}): Evaluation {
  const base = { allowed: true, results: [], failures: [], prints: [], evaluated: ['admission.images'], times: [] };
  return { ...base, bundle: BUNDLE, ms: 1, ...rest };
}

/** An engine that answers `said` (or what it returns or rejects with), and remembers what it was asked. */
export function engineSaying(said: Evaluation | (() => Promise<Evaluation>)) {
  const asked: { facts: MatchFacts; input: string; deadline: number }[] = [];
  /** Of each input, how many values and keys the table has that came with it, if it is one of just these bytes. */
  const scanned: number[] = [];
  return {
    asked,
    scanned,
    bundle: { digest: BUNDLE, files: [], policies: [], usesInventory: false },
    evaluate: (facts: MatchFacts, input: Uint8Array, deadline: number, doc?: JsonDocument) => {
      scanned.push(doc?.bytes === input ? doc.count : 0);
      asked.push({ facts, input: Buffer.from(input).toString(), deadline });
      return typeof said === 'function' ? said() : Promise.resolve(said);
    },
  };
}

export function jsonOf(answer: HttpAnswer) {
  return JSON.parse(Buffer.from(answer.body ?? '').toString());
}
