// What the witnesses said: for metrics and readiness, and a log line when it changes.
import type { ErrorCode } from '../lib/errors.ts';
import type { MirrorLog } from './log.ts';
import type { Submission, Witnessed } from './witness-client.ts';

/** Between two log lines about the same trouble with the same witness, in milliseconds. */
const AGAIN_MS = 600_000;

export interface WitnessStatus {
  /** Whether enough cosigned the checkpoint that was pushed last. */
  readonly quorum: boolean;
  /** Entries of that shard that enough witnesses have cosigned. */
  readonly shard: number;
  readonly size: number;
  /** Names of the witnesses that failed last, as the policy calls them. */
  readonly failing: readonly string[];
  /** A witness knows another history of this log, or more of it. */
  readonly contradicted: boolean;
  /** Failures since the start. */
  readonly failures: number;
}

export class WitnessReport {
  readonly #log: MirrorLog;
  readonly #now: () => number;
  readonly #said = new Map<string, number>();
  #status: WitnessStatus = { quorum: false, shard: 0, size: 0, failing: [], contradicted: false, failures: 0 };

  /** `now`: milliseconds that only go forward. */
  constructor(log: MirrorLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  get status(): WitnessStatus {
    return this.#status;
  }

  asked({ origin, size }: Submission, { quorum, failures }: Witnessed): void {
    const before = this.#status;
    const codes = failures.map(({ error }) => error.code);
    this.#status = {
      quorum,
      ...(quorum
        ? { shard: Number(origin.slice(origin.lastIndexOf('/') + 1)), size }
        : { shard: before.shard, size: before.size }),
      failing: failures.map(({ witness }) => witness),
      contradicted: codes.includes('WITNESS_CONTRADICTS'),
      failures: before.failures + failures.length,
    };
    for (const { witness, error } of failures) this.#say(witness, error.code, error.message);
    const recovered = before.failing.filter((witness) => !this.#status.failing.includes(witness));
    if (recovered.length > 0) this.#log('info', { witnesses: recovered }, 'witnesses cosign again');
  }

  #say(witness: string, code: ErrorCode, error: string): void {
    const key = `${witness} ${code}`;
    const said = this.#said.get(key);
    if (said !== undefined && this.#now() - said < AGAIN_MS) return;
    this.#said.set(key, this.#now());
    const alarm = code === 'WITNESS_CONTRADICTS';
    this.#log(
      alarm ? 'error' : 'warn',
      { witness, code, error },
      alarm ? 'a witness contradicts this ledger' : 'a witness did not cosign',
    );
  }
}
