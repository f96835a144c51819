// The entry of an evaluator thread: one instance, one request at a time. It may be terminated at any moment, so it owns
// nothing else.
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicMs, systemClock } from '../lib/clock.ts';
import { Evaluator } from './evaluator.ts';
import {
  type FromWorker,
  type Jobs,
  type Reply,
  STAGE_BEGUN,
  STAGE_SINCE,
  type ToWorker,
  type WorkerSetup,
} from './protocol.ts';

/** Verdicts wait for those after them, which came with them, no longer than this. */
const HOLD_MS = 1;

const port = parentPort;
if (port === null) throw new Error('worker.ts runs as a worker thread only');

const clock = systemClock();
const setup: WorkerSetup = workerData;
const begun = new Int32Array(setup.stage);
const since = new Float64Array(setup.stage);
const evaluator = new Evaluator(setup, () => BigInt(clock.now()) * 1000n);

function post(message: FromWorker): void {
  port?.postMessage(message);
}

function run({ jobs, inputs }: Jobs): void {
  let replies: Reply[] = [];
  let held = performance.now();
  let end = 0;
  for (const { id, rules, length } of jobs) {
    const now = performance.now();
    if (replies.length > 0 && now - held > HOLD_MS) {
      post({ type: 'replies', replies });
      replies = [];
      held = now;
    }
    since[STAGE_SINCE] = monotonicMs();
    Atomics.add(begun, STAGE_BEGUN, 1);
    replies.push(evaluator.run({ id, rules, input: inputs.subarray(end, end + length) }));
    end += length;
  }
  post({ type: 'replies', replies });
}

port.on('message', (asked: ToWorker) => {
  if (asked.type === 'data') post(evaluator.take(asked));
  else run(asked);
});
post({ type: 'ready', bytes: evaluator.dataBytes });
