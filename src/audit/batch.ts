// Takes an EventList apart (k8s.io/apiserver/pkg/apis/audit/v1) into the bodies of entries. Each event is recorded as it came,
// but for what is redacted; an item that is none is recorded as malformed and harms no other.
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Append } from '../ledger/entry.ts';
import { type EventNodes, eventNodes, findEvent, PART } from '../lib/audit-event.ts';
import { SealgateError } from '../lib/errors.ts';
import type { Peer } from '../lib/http.ts';
import { JsonDocument, jsonName } from '../lib/json-document.ts';
import { elements, type Part } from '../lib/json-elements.ts';
import type { Redacted } from '../lib/redaction.ts';
import type { BodySlab } from './body-slab.ts';
import { beginningOf } from './malformed.ts';
import { type ContentKey, contentKey } from './redelivery.ts';
import { isTimestamp } from './timestamp.ts';
import type { AuditParts, OnRecorded } from './types.ts';

const ITEMS = jsonName('items');
/** What an event must have. */
const REQUIRED_TEXTS = ['auditID', 'stage', 'level'] as const;
const REQUIRED_TIMES = [
  [PART.received, 'requestReceivedTimestamp'],
  [PART.time, 'stageTimestamp'],
] as const;
/** Where the parts of the event at hand are; forgotten with the next one. */
const FOUND = eventNodes();

/**
 * A large batch lets other work in between after so long. A decision on its way crosses this thread three times (its request,
 * its verdict, its commit) and may wait for a slice each time.
 */
const SLICE_MS = 0.5;

/** So many bytes, and items, are read without a look at the clock: a few hundredths of a millisecond. */
const LOOK_BYTES = 4096;
const LOOK_ITEMS = 4;

/**
 * While somebody waits for a verdict a batch stands back after each slice, but no longer than this: so it keeps a tenth of the
 * thread, which is several times what one API server sends.
 */
const STAND_BACK_MS = 4;

/**
 * Most items of one batch. kube-apiserver sends 400 unless told otherwise, and no event is so small that a body within its
 * limit holds many more than this; what is no event may be one character.
 */
const MAX_ITEMS = 250_000;

/** One item, ready to be recorded. `key` only for an event: what is malformed is recorded each time it comes. */
export interface Item {
  readonly entry: Append;
  readonly key?: ContentKey;
  /** To be called with its place once it is on disk. */
  readonly onRecorded?: OnRecorded | undefined;
}

export interface Batch {
  readonly items: readonly Item[];
  /** Items that are events. */
  readonly events: number;
  readonly redacted: number;
}

/**
 * Reads a batch; the bodies of its events are in `slab` until that begins another batch. Rejects with REQUEST_INVALID or
 * REQUEST_TOO_DEEP when the list itself is not an audit.k8s.io/v1 EventList, with REQUEST_TOO_LARGE when it has too many
 * items; then nothing of it is to be recorded.
 */
export async function readBatch(body: Buffer, peer: Peer, slab: BodySlab, parts: AuditParts): Promise<Batch> {
  const doc = new JsonDocument();
  const source = JSON.stringify(peer);
  const prefix = Buffer.from(`{"source":${source},"event":`);
  const types = new Map<string, string | undefined>();
  const items: Item[] = [];
  let events = 0;
  let redacted = 0;
  let itemsSeen = false;
  slab.begin(body.length);
  if (parts.decisionsWaiting()) await standBack(parts.decisionsWaiting);
  let until = performance.now() + SLICE_MS;
  /** From where on in the body, or from how many items on, the clock is asked again. */
  let look = 0;
  let lookAt = 0;
  for (const part of elements(body, ITEMS, doc, parts.settings.maxDepth)) {
    if (part.type === 'member') {
      if (part.name === 'kind' || part.name === 'apiVersion') types.set(part.name, doc.text(0));
      continue;
    }
    if (part.type === 'array') {
      itemsSeen = true;
      continue;
    }
    if (items.length === MAX_ITEMS) {
      throw new SealgateError('REQUEST_TOO_LARGE', `the EventList has more than ${MAX_ITEMS} items`);
    }
    const error = part.error ?? eventError(doc);
    if (error === undefined) {
      const event = parts.redactor.event(doc, FOUND);
      if (event.changed) redacted++;
      events++;
      items.push({
        entry: { kind: 'event', body: slab.body(prefix, event.bytes) },
        key: contentKey(event.bytes),
        onRecorded: sight(doc, FOUND, event, parts),
      });
    } else {
      items.push({ entry: malformed(part, doc, source, error, parts) });
    }
    if (part.end < look && items.length < lookAt) continue;
    look = part.end + LOOK_BYTES;
    lookAt = items.length + LOOK_ITEMS;
    if (performance.now() > until) {
      // The generator and `doc` are this batch's own: nothing else touches them meanwhile.
      await standBack(parts.decisionsWaiting);
      until = performance.now() + SLICE_MS;
    }
  }
  checkList(types, itemsSeen);
  return { items, events, redacted };
}

/** What the watch is shown is what is recorded. */
function sight(
  doc: JsonDocument,
  found: EventNodes,
  event: Redacted,
  { watch, settings }: AuditParts,
): OnRecorded | undefined {
  const sighted = watch.sight(doc, found);
  if (sighted === undefined || !event.changed) return sighted;
  const redacted = new JsonDocument();
  redacted.scan(event.bytes, 0, settings.maxDepth);
  findEvent(redacted, 0, found);
  return watch.sight(redacted, found);
}

async function standBack(needed: () => boolean): Promise<void> {
  await setImmediate();
  const until = performance.now() + STAND_BACK_MS;
  while (needed() && performance.now() < until) await sleep(1);
}

function checkList(types: ReadonlyMap<string, string | undefined>, itemsSeen: boolean): void {
  if (types.get('apiVersion') !== 'audit.k8s.io/v1') {
    throw new SealgateError('REQUEST_INVALID', 'apiVersion is not audit.k8s.io/v1');
  }
  if (types.get('kind') !== 'EventList') throw new SealgateError('REQUEST_INVALID', 'kind is not EventList');
  if (!itemsSeen) throw new SealgateError('REQUEST_INVALID', 'the EventList has no items');
}

/** Why the item that `doc` holds is not an audit event, or undefined; fills FOUND. */
function eventError(doc: JsonDocument): SealgateError | undefined {
  if (!doc.isObject(0)) return wrong('is not an object');
  findEvent(doc, 0, FOUND);
  for (const name of REQUIRED_TEXTS) {
    const node = FOUND[PART[name]] as number;
    if (!doc.isString(node) || doc.end(node) - doc.start(node) <= EMPTY) return wrong(`has no ${name}`);
  }
  for (const [part, name] of REQUIRED_TIMES) {
    if (!isTimestamp(doc, FOUND[part] as number)) return wrong(`has no ${name} in RFC 3339`);
  }
  return undefined;
}

/** Bytes of a string that is empty: its quotes. */
const EMPTY = 2;

function wrong(what: string): SealgateError {
  return new SealgateError('REQUEST_INVALID', `the item ${what}`);
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
