// Takes an EventList apart (k8s.io/apiserver/pkg/apis/audit/v1) into the bodies of entries. Each event is recorded as it came,
// but for what is redacted; an item that is none is recorded as malformed and harms no other.
import { setImmediate } from 'node:timers/promises';
import type { Append } from '../ledger/entry.ts';
import { SealgateError } from '../lib/errors.ts';
import type { Peer } from '../lib/http.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';
import { elements, type Part } from '../lib/json-elements.ts';
import { beginningOf } from './malformed.ts';
import { type ContentKey, contentKey } from './redelivery.ts';
import type { AuditParts } from './types.ts';

const ITEMS = jsonName('items');
const AUDIT_ID = jsonName('auditID');
const STAGE = jsonName('stage');
const LEVEL = jsonName('level');
const RECEIVED = jsonName('requestReceivedTimestamp');
const STAGE_TIME = jsonName('stageTimestamp');

/** Its form: whether the 31st of a month exists is not asked. */
const RFC3339 = /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-][0-2]\d:[0-5]\d)$/;

/**
 * A large batch lets other work in between after so long. A decision on its way crosses this thread three times (its request,
 * its verdict, its commit) and may wait for a slice each time.
 */
const SLICE_MS = 0.5;

/** One item, ready to be recorded. `key` only for an event: what is malformed is recorded each time it comes. */
export interface Item {
  readonly entry: Append;
  readonly key?: ContentKey;
}

export interface Batch {
  readonly items: readonly Item[];
  /** Items that are events. */
  readonly events: number;
  readonly redacted: number;
}

/**
 * Reads a batch. Rejects with REQUEST_INVALID or REQUEST_TOO_DEEP when the list itself is not an audit.k8s.io/v1 EventList;
 * then nothing of it is to be recorded.
 */
export async function readBatch(body: Buffer, peer: Peer, parts: AuditParts): Promise<Batch> {
  const doc = new JsonDocument();
  const source = JSON.stringify(peer);
  const prefix = Buffer.from(`{"source":${source},"event":`);
  const types = new Map<string, string | undefined>();
  const items: Item[] = [];
  let events = 0;
  let redacted = 0;
  let itemsSeen = false;
  let until = performance.now() + SLICE_MS;
  for (const part of elements(body, ITEMS, doc, parts.settings.maxDepth)) {
    if (part.type === 'member') {
      if (part.name === 'kind' || part.name === 'apiVersion') types.set(part.name, doc.text(0));
      continue;
    }
    if (part.type === 'array') {
      itemsSeen = true;
      continue;
    }
    const error = part.error ?? eventError(doc);
    if (error === undefined) {
      const event = parts.redactor.event(doc);
      if (event.changed) redacted++;
      events++;
      items.push({
        entry: { kind: 'event', body: eventBody(prefix, event.bytes) },
        key: contentKey(event.bytes),
      });
    } else {
      items.push({ entry: malformed(part, doc, source, error, parts) });
    }
    if (performance.now() > until) {
      // The generator and `doc` are this batch's own: nothing else touches them meanwhile.
      await setImmediate();
      until = performance.now() + SLICE_MS;
    }
  }
  checkList(types, itemsSeen);
  return { items, events, redacted };
}

/** `{"source":…,"event":…}`. */
function eventBody(prefix: Buffer, event: Buffer): Buffer {
  const body = Buffer.allocUnsafe(prefix.length + event.length + 1);
  prefix.copy(body);
  event.copy(body, prefix.length);
  body[body.length - 1] = CLOSING_BRACE;
  return body;
}

const CLOSING_BRACE = 0x7d;

function checkList(types: ReadonlyMap<string, string | undefined>, itemsSeen: boolean): void {
  if (types.get('apiVersion') !== 'audit.k8s.io/v1') {
    throw new SealgateError('REQUEST_INVALID', 'apiVersion is not audit.k8s.io/v1');
  }
  if (types.get('kind') !== 'EventList') throw new SealgateError('REQUEST_INVALID', 'kind is not EventList');
  if (!itemsSeen) throw new SealgateError('REQUEST_INVALID', 'the EventList has no items');
}

/** Why the item that `doc` holds is not an audit event, or undefined. */
function eventError(doc: JsonDocument): SealgateError | undefined {
  const wrong = (what: string) => new SealgateError('REQUEST_INVALID', `the item ${what}`);
  if (!doc.isObject(0)) return wrong('is not an object');
  for (const name of [AUDIT_ID, STAGE, LEVEL]) {
    const text = doc.text(doc.find(0, name));
    if (text === undefined || text === '') return wrong(`has no ${name.text}`);
  }
  for (const name of [RECEIVED, STAGE_TIME]) {
    const text = doc.text(doc.find(0, name));
    if (text === undefined || !RFC3339.test(text)) return wrong(`has no ${name.text} in RFC 3339`);
  }
  return undefined;
}

function malformed(
  part: Part & { type: 'element' },
  doc: JsonDocument,
  source: string,
  error: SealgateError,
  parts: AuditParts,
): Append {
  const rest = {
    error: `${error.code}: ${error.message}`,
    size: part.end - part.start,
    item: beginningOf(doc, parts.redactor, parts.settings.malformedBytes),
  };
  return { kind: 'malformed', body: Buffer.from(`{"source":${source},${JSON.stringify(rest).slice(1)}`) };
}
