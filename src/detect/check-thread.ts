// One check of the ledger, by the verifier that auditors use, in a thread of its own that sleeps most of the time.
import { parentPort, workerData } from 'node:worker_threads';
import { verifyLedger } from '../ledger/verify.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import type { CheckData, CheckResult } from './check-protocol.ts';

const MAX_PROBLEMS = 20;
/** Longest sleep at once: the thread may be ended meanwhile. */
const MAX_SLEEP_MS = 1000;

if (parentPort === null) throw new Error('runs as a worker thread');
const { ledgerDir, vkey, checkpoints, shard, from, cpuPercent } = workerData as CheckData;
const never = new Int32Array(new SharedArrayBuffer(4));
let worked = performance.now();

/** Sleeps in proportion to the work since the last time. */
function rest(): void {
  let left = (performance.now() - worked) * (100 / cpuPercent - 1);
  for (; left > 0; left -= MAX_SLEEP_MS) Atomics.wait(never, 0, 0, Math.min(left, MAX_SLEEP_MS));
  worked = performance.now();
}

function check(): CheckResult {
  try {
    const part = shard === undefined ? {} : { shard, from };
    const report = verifyLedger(ledgerDir, { keys: [vkey], checkpoints, onProgress: rest, ...part });
    const problems = report.findings.slice(0, MAX_PROBLEMS).map(({ code, message }) => `${code}: ${message}`);
    const entries = report.shards.reduce((sum, one) => sum + one.entries, 0);
    return { entries, problems, problemCount: report.findingCount };
  } catch (thrown) {
    const code = thrown instanceof SealgateError ? thrown.code : 'INTERNAL';
    return { entries: 0, problems: [`${code}: ${messageOf(thrown)}`], problemCount: 1 };
  }
}

parentPort.postMessage(check());
