// The WAL checkpointer: moves the WAL into the database through a connection of its own, so that the writes and the fsync
// of that are not on the path of decisions. It only ever runs PASSIVE checkpoints, which wait for nobody, stop nobody and
// do not count as a change to other connections (PRAGMA data_version).
import { type MessagePort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { messageOf } from '../lib/errors.ts';
import type { FromCheckpointer, ToCheckpointer } from './messages.ts';
import { sealThrough } from './seal.ts';
import { outcomeOf } from './sqlite-errors.ts';

const port = (workerData as { port: MessagePort }).port;
let db: Database.Database | undefined;

function handle(message: ToCheckpointer): FromCheckpointer | undefined {
  switch (message.type) {
    case 'open':
      // The next shard: the one before is full.
      if (db !== undefined) sealThrough(db);
      db = new Database(message.path, { fileMustExist: true });
      db.pragma('wal_autocheckpoint = 0');
      // FULL: the WAL is synced before its pages go into the database, and the database before the WAL may begin anew.
      db.pragma('synchronous = FULL');
      db.pragma('checkpoint_fullfsync = 1');
      return undefined;
    case 'run':
      db?.pragma('wal_checkpoint(PASSIVE)');
      return { type: 'done' };
    case 'close':
      db?.close();
      return { type: 'closed' };
  }
}

port.on('message', (message: ToCheckpointer) => {
  let answer: FromCheckpointer | undefined;
  try {
    answer = handle(message);
  } catch (error) {
    answer = outcomeOf(error) === 'none' ? { type: 'full' } : { type: 'failed', message: messageOf(error) };
  }
  if (answer !== undefined) port.postMessage(answer);
  if (message.type === 'close') port.close();
});
