// The index thread: adds what is new in the ledger when it is told that something is.
import { statfsSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { LedgerReader } from '../ledger/reader.ts';
import { messageOf } from '../lib/errors.ts';
import type { FromIndexer, IndexerData, ToIndexer } from './indexer-protocol.ts';
import type { IndexLog } from './log.ts';
import { IndexTail } from './tail.ts';

/** Entries of one transaction: a few dozen milliseconds of work. */
const STEP_ENTRIES = 2048;

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
/** From the last step to the next, in milliseconds; undefined while nothing is new. */
let paceMs: number | undefined = 0;
let closing = false;
let wake: () => void = () => undefined;

port.on('message', (message: ToIndexer) => {
  if (message.type === 'close') closing = true;
  if (message.type === 'rebuild') tail.rebuild(message.reason);
  paceMs = Math.min(paceMs ?? Number.POSITIVE_INFINITY, message.type === 'advance' ? message.paceMs : 0);
  wake();
});

/** Until a message comes, at the latest after so many milliseconds. */
function news(ms: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    wake = () => {
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
let stepped = Number.NEGATIVE_INFINITY;
while (!closing) {
  // Whoever is in a hurry changes nothing about what failed.
  const pace = failed ? RETRY_MS : paceMs;
  const rest = pace === undefined ? undefined : stepped + pace - performance.now();
  if (rest === undefined || rest > 0) {
    await news(rest);
    continue;
  }
  paceMs = undefined;
  let more = false;
  try {
    if (!leavesSpace()) throw new Error(`less than ${keepFreeBytes} bytes are free, which are kept for the ledger`);
    more = tail.step(STEP_ENTRIES) === STEP_ENTRIES;
    failed = false;
  } catch (error) {
    if (!failed) log.error({ error: messageOf(error) }, 'the index cannot go on; it tries again');
    failed = true;
  }
  stepped = performance.now();
  if (more) paceMs = 0;
  send({ type: 'position', position: tail.position(), generation: tail.generation, idle: !more && !failed });
  // Messages are heard between two steps.
  if (more) await immediate();
}
tail.close();
reader.close();
send({ type: 'closed' });
port.close();
