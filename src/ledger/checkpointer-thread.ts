// The WAL checkpointer: moves the WAL into the database through a connection of its own, so that the writes and the fsync
// of that are not on the path of decisions. It only ever runs PASSIVE checkpoints, which wait for nobody, stop nobody and
// do not count as a change to other connections (PRAGMA data_version).
import { existsSync } from 'node:fs';
import { type MessagePort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { messageOf } from '../lib/errors.ts';
import type { FromCheckpointer, ToCheckpointer } from './messages.ts';
import { sealFile, sealThrough } from './seal.ts';
import { outcomeOf } from './sqlite-errors.ts';

const port = (workerData as { port: MessagePort }).port;
let db: Database.Database | undefined;

/** How often a shard that a reader holds is tried again. */
const SEAL_INTERVAL_MS = 2000;
/** Shards that nobody writes to any more and that a reader, or a lack of space, keeps from being sealed. */
const unsealed = new Set<string>();
let timer: NodeJS.Timeout | undefined;

/** Says that a shard was sealed, or, once, that it could not be yet. */
function tell(path: string, sealed: boolean): void {
  if (sealed) unsealed.delete(path);
  else if (unsealed.has(path)) return;
  else unsealed.add(path);
  send({ type: sealed ? 'sealed' : 'unsealed', path });
}

function send(message: FromCheckpointer): void {
  port.postMessage(message);
}

function sealLater(): void {
  if (timer !== undefined || unsealed.size === 0) return;
  timer = setTimeout(() => {
    timer = undefined;
    for (const path of [...unsealed]) {
      // One that is gone is for the next start and for verification to report; the writer needs it for nothing.
      if (existsSync(path)) guarded(() => tell(path, sealFile(path)));
      else unsealed.delete(path);
    }
    sealLater();
  }, SEAL_INTERVAL_MS);
}

function handle(message: ToCheckpointer): void {
  switch (message.type) {
    case 'open':
      // The next shard: the one before is full.
      if (db !== undefined) tell(db.name, sealThrough(db));
      db = new Database(message.path, { fileMustExist: true });
      db.pragma('wal_autocheckpoint = 0');
      // FULL: the WAL is synced before its pages go into the database, and the database before the WAL may begin anew.
      db.pragma('synchronous = FULL');
      db.pragma('checkpoint_fullfsync = 1');
      return;
    case 'seal':
      for (const path of message.paths) tell(path, sealFile(path));
      return;
    case 'run':
      db?.pragma('wal_checkpoint(PASSIVE)');
      send({ type: 'done' });
      return;
    case 'close':
      clearTimeout(timer);
      db?.close();
      send({ type: 'closed' });
      return;
  }
}

function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    send(outcomeOf(error) === 'none' ? { type: 'full' } : { type: 'failed', message: messageOf(error) });
  }
}

port.on('message', (message: ToCheckpointer) => {
  guarded(() => handle(message));
  if (message.type === 'close') port.close();
  else sealLater();
});
