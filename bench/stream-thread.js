// An audit stream as fast as it goes, on a thread of its own, so that it does not hold up the clock of whoever measures beside it.
import { parentPort, workerData } from 'node:worker_threads';
import { eventSource } from './audit-events.js';
import { send } from './load.js';
const { target, seed } = workerData;
const source = eventSource(seed);
let stopped = false;
parentPort?.once('message', () => {
    stopped = true;
});
parentPort?.postMessage(await send(target, () => (stopped ? undefined : source.batch())));
