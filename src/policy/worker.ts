// The entry of an evaluator thread: one instance, one request at a time. It may be terminated at any moment, so it owns
// nothing else.
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../lib/clock.ts';
import { Evaluator } from './evaluator.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './protocol.ts';

const port = parentPort;
if (port === null) throw new Error('worker.ts runs as a worker thread only');

const clock = systemClock();
const setup: WorkerSetup = workerData;
const evaluator = new Evaluator(setup, () => BigInt(clock.now()) * 1000n);
port.on('message', (asked: ToWorker) => {
  const message: FromWorker =
    asked.type === 'data' ? evaluator.take(asked) : { type: 'reply', reply: evaluator.run(asked) };
  port.postMessage(message);
});
const ready: FromWorker = { type: 'ready', bytes: evaluator.dataBytes };
port.postMessage(ready);
