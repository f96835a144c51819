// The index thread: adds what is new in the ledger when it is told that something is.
import { statfsSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { LedgerReader } from '../ledger/reader.ts';
import { messageOf } from '../lib/errors.ts';
import type { FromIndexer, IndexerData, ToIndexer } from './indexer-protocol.ts';
import type { IndexLog } from './log.ts';
import { IndexTail } from './tail.ts';

/** Entries of one transaction: a few dozen milliseconds of work. */
const STEP_ENTRIES = 2048;

/** Between two transactions, so that a busy ledger costs few large ones: the index is late by no more than this. */
const PACE_MS = 40;

/** Before trying again to read what could not be read. */
const RETRY_MS = 5000;

if (parentPort === null) throw new Error('runs as a worker thread');
const port = parentPort;
const { ledgerDir, file, keepFreeBytes } = workerData as IndexerData;

function send(message: FromIndexer): void {
  port.postMessage(message);
}

const log: IndexLog = {
  info: (fields, message) => send({ type: 'log', level: 'info', fields, message }),
  warn: (fields, message) => send({ type: 'log', level: 'warn', fields, message }),
  error: (fields, message) => send({ type: 'log', level: 'error', fields, message }),
};

// On Linux a thread has a priority of its own: whoever waits for an answer goes before the index.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);

const reader = LedgerReader.open(ledgerDir);
const tail = new IndexTail({ file, source: reader, log });
let wanted = true;
let closing = false;
let wake: (() => void) | undefined;

port.on('message', (message: ToIndexer) => {
  if (message.type === 'close') closing = true;
  if (message.type === 'rebuild') tail.rebuild(message.reason);
  wanted = true;
  wake?.();
});

/** For so long, or until the thread has to stop. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      if (!closing) return;
      clearTimeout(timer);
      resolve();
    };
  });
}

/** The space that is kept for records is not the index's to take. */
function leavesSpace(): boolean {
  const { bavail, bsize } = statfsSync(dirname(file));
  return bavail * bsize >= keepFreeBytes;
}

let failed = false;
while (!closing) {
  if (!wanted) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    continue;
  }
  wanted = false;
  let more = false;
  try {
    if (!leavesSpace()) throw new Error(`less than ${keepFreeBytes} bytes are free, which are kept for the ledger`);
    more = tail.step(STEP_ENTRIES) === STEP_ENTRIES;
    failed = false;
  } catch (error) {
    if (!failed) log.error({ error: messageOf(error) }, 'the index cannot go on; it tries again');
    failed = true;
  }
  if (more) wanted = true;
  send({ type: 'position', position: tail.position(), generation: tail.generation, idle: !wanted && !failed });
  if (failed) {
    await pause(RETRY_MS);
    wanted = true;
  } else await pause(more ? 0 : PACE_MS);
}
tail.close();
reader.close();
send({ type: 'closed' });
port.close();
