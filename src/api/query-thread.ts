// A query thread: answers questions with read-only connections of its own, and may be terminated while it does.
import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { lookUp } from '../index/lookup.ts';
import type { Place } from '../index/places.ts';
import { openIndexForReading } from '../index/schema.ts';
import { type FoundEntry, findEntry, search } from '../index/search.ts';
import { LedgerReader } from '../ledger/reader.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { createVerifier } from '../tlog/verifier.ts';
import { entryDetail } from './detail.ts';
import { OlderHistories } from './older-history.ts';
import type { Answer, Asked, QueryThreadData, Question } from './query-protocol.ts';
import { readTlogFile } from './tlog-file.ts';

if (parentPort === null) throw new Error('runs as a worker thread');
const port = parentPort;
const { ledgerDir, indexFile, vkey } = workerData as QueryThreadData;
const verifier = createVerifier(vkey);
const reader = LedgerReader.open(ledgerDir);
const older = new OlderHistories(reader);
let index: { db: Database.Database; generation: number } | undefined;

function openIndex(generation: number): Database.Database {
  if (index?.generation === generation) return index.db;
  closeIndex();
  const db = openIndexForReading(indexFile);
  index = { db, generation };
  return db;
}

function closeIndex(): void {
  index?.db.close();
  index = undefined;
}

function answer(question: Question, generation: number): Answer {
  if (question.type === 'search') {
    const end = performance.now() + question.softLimitMs;
    const page = search(openIndex(generation), question.query, { expired: () => performance.now() >= end });
    return { type: 'page', page: { ...page, older: older.of(question.query) } };
  }
  if (question.type === 'lookup') {
    return { type: 'lookup', found: lookUp(openIndex(generation), reader, question.lookup) };
  }
  if (question.type === 'tlog') return { type: 'tlog', file: readTlogFile(ledgerDir, question.path) };
  const shard = question.shard ?? reader.shards().at(-1)?.number ?? 0;
  const detail = entryDetail(reader, shard, question.seq, verifier);
  if (detail === undefined) {
    const left = older.left(shard);
    if (left === null) return { type: 'entry', entry: null };
    const where = left.store === undefined ? 'look in its mirror' : `it is in ${left.store}`;
    const text = `shard ${shard} is not here any more, the oldest is ${left.oldestShard}: ${where} (sealgate query --from … --shard ${shard})`;
    throw new SealgateError('ENTRY_NOT_FOUND', text);
  }
  return { type: 'entry', entry: { detail, found: listed(detail, generation) } };
}

/** The entry itself comes from the ledger: an index that cannot be read does not keep it back. */
function listed(place: Place, generation: number): FoundEntry | null {
  try {
    return findEntry(openIndex(generation), place) ?? null;
  } catch {
    closeIndex();
    return null;
  }
}

function refusal(error: unknown): Answer {
  if (error instanceof SealgateError)
    return { type: 'error', code: error.code, message: error.message, damaged: false };
  index?.db.close();
  index = undefined;
  return {
    type: 'error',
    code: 'QUERY_UNAVAILABLE',
    message: `the index cannot be read: ${messageOf(error)}`,
    damaged: true,
  };
}

port.on('message', ({ question, generation }: Asked) => {
  let reply: Answer;
  try {
    reply = answer(question, generation);
  } catch (error) {
    reply = refusal(error);
  }
  port.postMessage(reply);
});
