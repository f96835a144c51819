// POST /v1/audit: from an EventList to recorded events to an empty 200. Anything else than 200 makes kube-apiserver send the
// batch again.

import type { Append, Appended } from '../ledger/entry.ts';
import type { HttpAnswer, HttpHandler, HttpRequest } from '../lib/http.ts';
import { answerRefusal, codedError, type Refusal, refusalOf, refusePost } from '../lib/json-http.ts';
import { type Batch, readBatch } from './batch.ts';
import { BodySlab } from './body-slab.ts';
import { type ContentKey, type Place, placeAt, type Seen } from './redelivery.ts';
import type { AuditParts, OnRecorded } from './types.ts';

/** Never rejects: whatever happens has an answer. */
export function createAuditHandler(parts: AuditParts): HttpHandler {
  const inTurn = turns();
  const slab = new BodySlab();
  return async (request) => {
    const refusal = refusePost(request);
    if (refusal !== undefined) return refuse(parts, refusal);
    try {
      const { batch, begun } = await inTurn(async () => {
        const read = await readBatch(request.body, request.peer, slab, parts);
        // In the same turn: the ledger copies the bodies, and the next batch overwrites them.
        return { batch: read, begun: begin(read, parts) };
      });
      const duplicates = await record(batch, begun, request, parts);
      if (batch.redacted > 0) parts.metrics.redacted(batch.redacted);
      acknowledge(batch, duplicates, request, parts);
      // No content type: one that the API server could not read would count as a failure.
      return { status: 200 };
    } catch (thrown) {
      const error = codedError(thrown, (stack) => parts.log.error({ stack }, 'an audit batch could not be handled'));
      // That space is low is logged when it begins and when it ends, not for each batch.
      if (error.code.startsWith('LEDGER_') && error.code !== 'LEDGER_SPACE_LOW') {
        parts.log.error({ code: error.code, error: error.message }, 'an audit batch could not be recorded');
      }
      return refuse(parts, refusalOf(error));
    }
  };
}

/** Batches are read one after the other: each lets other work in between, but not one slice of every batch that waits. */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

/**
 * Resolves with the number of duplicates when every item is on disk, be it from an earlier delivery, and everything that was
 * found in them, then or now.
 */
async function record(
  batch: Batch,
  { appended, sighted, duplicates }: Begun,
  request: HttpRequest,
  parts: AuditParts,
): Promise<number> {
  const landed = await appended;
  for (const { index, onRecorded } of sighted) onRecorded(placeAt(landed, index));
  // One that is still on its way in another batch is not there until that one is.
  const places = await Promise.all(duplicates.map((seen) => (typeof seen === 'function' ? seen() : seen)));
  await parts.watch.settled();
  if (duplicates.length === 0) return 0;
  await parts.ledger.append('audit', [redeliveryEntry(batch, request, places)]);
  return duplicates.length;
}

interface Begun {
  /** Resolves when what is new is on disk. */
  readonly appended: Promise<readonly Appended[]>;
  /** Which of it the watch waits for. */
  readonly sighted: readonly { readonly index: number; readonly onRecorded: OnRecorded }[];
  /** Where each duplicate is recorded, in the order of the batch. */
  readonly duplicates: readonly Seen[];
}

/** Synchronous: another batch with the same event comes before all of this or after it. */
function begin({ items }: Batch, { window, ledger }: AuditParts): Begun {
  const fresh: Append[] = [];
  const keys: (ContentKey | undefined)[] = [];
  /** The same event twice in one batch: which of `fresh` it is. */
  const here = new Map<ContentKey, number>();
  const duplicates: (Seen | number)[] = [];
  const sighted: { index: number; onRecorded: OnRecorded }[] = [];
  for (const { entry, key, onRecorded } of items) {
    const seen = key === undefined ? undefined : (here.get(key) ?? window.find(key));
    if (seen !== undefined) {
      duplicates.push(seen);
      continue;
    }
    if (key !== undefined) here.set(key, fresh.length);
    if (onRecorded !== undefined) sighted.push({ index: fresh.length, onRecorded });
    fresh.push(entry);
    keys.push(key);
  }
  const appended = fresh.length === 0 ? Promise.resolve([]) : ledger.append('audit', fresh);
  window.begin(keys, appended);
  const waiting = (index: number) => async () => placeAt(await appended, index);
  return { appended, sighted, duplicates: duplicates.map((seen) => (typeof seen === 'number' ? waiting(seen) : seen)) };
}

function redeliveryEntry(batch: Batch, { peer }: HttpRequest, places: readonly Place[]): Append {
  const body = {
    source: peer,
    events: batch.events,
    duplicates: places.length,
    first: nameOf(places.at(0)),
    last: nameOf(places.at(-1)),
  };
  return { kind: 'redelivery', body: Buffer.from(JSON.stringify(body)) };
}

function nameOf(place: Place | undefined): string {
  return place === undefined ? '' : `${place.shard}/${place.seq}`;
}

function acknowledge(batch: Batch, duplicates: number, request: HttpRequest, parts: AuditParts): void {
  const { events, items } = batch;
  const malformed = items.length - events;
  if (malformed > 0) {
    const fields = { address: request.peer.address, malformed, events };
    parts.log.warn(fields, 'an audit batch held items that are not audit events');
  }
  const seconds = (performance.now() - request.receivedAt) / 1000;
  parts.metrics.acknowledged({ events, duplicates, malformed, bytes: request.body.length }, seconds);
}

function refuse(parts: AuditParts, refusal: Refusal): HttpAnswer {
  parts.metrics.refused(refusal.code);
  return answerRefusal(refusal);
}
