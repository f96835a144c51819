// POST /v1/audit: from an EventList to recorded events to an empty 200. Anything else than 200 makes kube-apiserver send the
// batch again.

import type { Append } from '../ledger/entry.ts';
import { SealgateError } from '../lib/errors.ts';
import type { HttpAnswer, HttpHandler, HttpRequest } from '../lib/http.ts';
import { answerRefusal, codedError, type Refusal, refusalOf, refusePost } from '../lib/json-http.ts';
import { type Batch, readBatch } from './batch.ts';
import type { Place } from './redelivery.ts';
import type { AuditParts } from './types.ts';

/** Never rejects: whatever happens has an answer. */
export function createAuditHandler(parts: AuditParts): HttpHandler {
  return async (request) => {
    const refusal = refusePost(request);
    if (refusal !== undefined) return refuse(parts, refusal);
    try {
      const batch = await readBatch(request.body, request.peer, parts);
      const duplicates = await record(batch, request, parts);
      if (batch.redacted > 0) parts.metrics.redacted(batch.redacted);
      acknowledge(batch, duplicates, request, parts);
      // No content type: one that the API server could not read would count as a failure.
      return { status: 200 };
    } catch (thrown) {
      const error = codedError(thrown, (stack) => parts.log.error({ stack }, 'an audit batch could not be handled'));
      if (error.code.startsWith('LEDGER_')) {
        parts.log.error({ code: error.code, error: error.message }, 'an audit batch could not be recorded');
      }
      return refuse(parts, refusalOf(error));
    }
  };
}

/** Resolves with the number of duplicates when every item is on disk, be it from an earlier delivery. */
async function record(batch: Batch, request: HttpRequest, parts: AuditParts): Promise<number> {
  const fresh: Append[] = [];
  /** Where each duplicate is recorded, in the order of the batch. */
  const duplicates: (Place | Promise<Place>)[] = [];
  const appended = Promise.withResolvers<readonly Place[]>();
  // Nothing is awaited between looking a key up and entering it: another batch with the same event sees it.
  for (const { entry, key } of batch.items) {
    const seen = key === undefined ? undefined : parts.window.find(key);
    if (seen !== undefined) {
      duplicates.push(seen);
      continue;
    }
    const index = fresh.push(entry) - 1;
    if (key !== undefined) parts.window.begin(key, placeOf(appended.promise, index));
  }
  if (fresh.length > 0) {
    parts.ledger.append('audit', fresh).then(appended.resolve, appended.reject);
    await appended.promise;
  }
  if (duplicates.length === 0) return 0;
  // One that is still on its way in another batch is not there until that one is.
  const places = await Promise.all(duplicates);
  await parts.ledger.append('audit', [redeliveryEntry(batch, request, places)]);
  return duplicates.length;
}

async function placeOf(appended: Promise<readonly Place[]>, index: number): Promise<Place> {
  const place = (await appended)[index];
  if (place === undefined) throw new SealgateError('LEDGER_WRITE_FAILED', 'the ledger named too few entries');
  return place;
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
