// Events, lists of them, and a handler with everything that it tells its metrics and log.
import { createAuditHandler } from '../../../src/audit/handler.ts';
import { createRedeliveryWindow, type RedeliveryLimits } from '../../../src/audit/redelivery.ts';
import type { AuditParts, EventLedger } from '../../../src/audit/types.ts';
import { type Entry, LedgerReader } from '../../../src/ledger/reader.ts';
import type { HttpRequest } from '../../../src/lib/http.ts';
import { createRedactor } from '../../../src/redact/redactor.ts';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.ts';
import { places } from '../ledger/temp-ledger.ts';

export function eventOf(number: number, rest: object = {}): object {
  return {
    level: 'Metadata',
    auditID: `9a2adad4-9c40-43ac-895a-${String(number).padStart(12, '0')}`,
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/shop/pods',
    verb: 'create',
    user: { username: 'alice' },
    objectRef: { resource: 'pods', namespace: 'shop', apiVersion: 'v1' },
    requestReceivedTimestamp: '2026-11-22T23:42:20.562880Z',
    stageTimestamp: '2026-11-22T23:42:20.568381Z',
    ...rest,
  };
}

/** An EventList of items given as values or as text. */
export function listOf(...items: readonly (object | string)[]): string {
  const texts = items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
  return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${texts.join(',')}]}`;
}

export function requestOf(body: string | Buffer, rest: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: 'POST',
    path: '/v1/audit',
    query: new URLSearchParams(),
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(body),
    peer: { address: '192.0.2.1' },
    receivedAt: performance.now(),
    signal: new AbortController().signal,
    ...rest,
  };
}

export function handlerWith(
  ledger: EventLedger,
  rest: Partial<AuditParts> & { limits?: RedeliveryLimits; now?: () => number } = {},
) {
  const told: unknown[][] = [];
  const tell =
    (name: string) =>
    (...values: unknown[]) =>
      void told.push([name, ...values]);
  const { limits = { maxEvents: 1000, seconds: 300 }, now = Date.now, ...given } = rest;
  const window = createRedeliveryWindow(limits, now);
  const handler = createAuditHandler({
    ledger,
    redactor: createRedactor(DEFAULT_REDACT_SETTINGS),
    window,
    decisionsWaiting: () => false,
    watch: { sight: () => undefined, settled: async () => undefined },
    settings: { maxDepth: 10_000, malformedBytes: 16_384 },
    metrics: { acknowledged: tell('acknowledged'), refused: tell('refused'), redacted: tell('redacted') },
    log: { warn: tell('warn'), error: tell('error') },
    ...given,
  });
  const named = (name: string) => told.filter(([one]) => one === name).map(([, ...values]) => values);
  return { handler, window, told, named };
}

export interface Recorded extends Entry {
  readonly json: Record<string, unknown>;
}

/** What a ledger holds behind its start entry. */
export function recordedIn(root: string): Recorded[] {
  const reader = LedgerReader.open(places(root).dir);
  try {
    return [...reader.entries(0, 1)].map((entry) => Object.assign(entry, { json: JSON.parse(entry.body.toString()) }));
  } finally {
    reader.close();
  }
}
