// Serves the query API over a ledger folder for one command: live, stopped or a copy, without touching anything in it. So that a
// query gives the same answers in the same way whether Sealgate runs or not.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { createApi } from '../api/app.ts';
import { createQueries } from '../api/queries.ts';
import type { IndexLog } from '../index/log.ts';
import { openView } from '../index/view.ts';
import { LedgerReader } from '../ledger/reader.ts';
import { findLedger } from '../ledger/verify.ts';
import { systemClock } from '../lib/clock.ts';
import { SealgateError } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { openHttpListener } from '../server/http-listener.ts';

export interface ServedFolder {
  readonly url: string;
  close(): Promise<void>;
}

/** Between two looks at a ledger that somebody may be writing, in milliseconds. */
const POLL_MS = 500;
/** Before a person is told what takes so long, in milliseconds. */
const PATIENCE_MS = 1000;
/** A person who reads a folder waits for a long query; nobody else is kept waiting by it. */
const TIME_LIMIT_MS = 600_000;

/** Throws LEDGER_NOT_FOUND and what LedgerReader.open throws. */
export async function serveFolder(path: string): Promise<ServedFolder> {
  const { folder } = findLedger(path);
  const reader = LedgerReader.open(folder);
  const temp = mkdtempSync(join(tmpdir(), 'sealgate-query-'));
  const file = join(temp, 'index.sqlite');
  await copyIndex(join(dirname(resolve(folder)), 'index', 'index.sqlite'), file);
  const view = openView({ ledgerDir: folder, file, log });
  const { origin, vkey } = logOf(reader);
  const queries = createQueries({ ledgerDir: folder, vkey, view, timeLimitMs: TIME_LIMIT_MS });
  const head = () => {
    const newest = reader.shards().at(-1);
    if (newest === undefined) throw new SealgateError('LEDGER_NOT_FOUND', `${folder} holds no shard any more`);
    const checkpoint = reader.checkpoint(newest.number);
    const signedSize = checkpoint?.size ?? 0;
    const note = checkpoint === undefined ? {} : { checkpoint: checkpoint.note };
    return { shard: newest.number, size: newest.size, signedSize, ...note };
  };
  const poll = setInterval(() => view.notify(head()), POLL_MS);
  const now = () => systemClock().now();
  const api = createApi({ queries, view, head, origin, vkey, version: VERSION, bundle: () => undefined, now, log });
  const listener = await openHttpListener({ name: 'query', host: '127.0.0.1', port: 0, handler: api });
  const impatience = setTimeout(() => process.stderr.write(`indexing ${folder} …\n`), PATIENCE_MS);
  // A person wants the whole, however long it takes: an index in a temporary folder begins anew each time.
  while (!(await view.reached(head(), POLL_MS)));
  clearTimeout(impatience);
  return {
    url: `http://127.0.0.1:${listener.port}`,
    async close() {
      clearInterval(poll);
      await listener.close(0);
      await queries.close();
      await view.close();
      reader.close();
      rmSync(temp, { recursive: true, force: true });
    },
  };
}

/** The index beside the ledger as a beginning; the view drops it when it is of another ledger, and adds what it lacks. */
async function copyIndex(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  try {
    const index = new Database(from, { readonly: true, fileMustExist: true });
    try {
      await index.backup(to);
    } finally {
      index.close();
    }
  } catch {
    // Damaged, or in a folder that cannot be written: what it says can be had from the ledger.
    rmSync(to, { force: true });
  }
}

/** The name and the key that the log gives itself. They prove nothing: `sealgate verify --key` does. */
function logOf(reader: LedgerReader): { origin: string; vkey: string } {
  const shard = reader.shards().at(-1);
  const first = shard === undefined ? undefined : reader.get(shard.number, 0);
  const body: unknown = first === undefined ? undefined : JSON.parse(first.body.toString('utf8'));
  const vkey = typeof body === 'object' && body !== null && 'vkey' in body ? body.vkey : undefined;
  if (shard === undefined || typeof vkey !== 'string') {
    throw new SealgateError('LEDGER_CORRUPT', 'the first entry does not name the key of the log; run sealgate verify');
  }
  return { origin: shard.origin, vkey };
}

const log: IndexLog = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => process.stderr.write(`${message}: ${JSON.stringify(fields)}\n`),
};
