// What is wrong with the mirror: counted each time, said at once and then rarely.
import type { ErrorCode, SealgateError } from '../lib/errors.ts';
import type { MirrorLog } from './log.ts';
import { isRetryable } from './stores/errors.ts';

/** Between two log lines about the same error, in milliseconds. */
const AGAIN_MS = 600_000;
/** Trouble that lasted as long is worth a line when it has ended. */
const LASTING_MS = 10_000;

export class TroubleReport {
  readonly #log: MirrorLog;
  readonly #now: () => number;
  readonly #counts = new Map<ErrorCode, number>();
  readonly #said = new Map<ErrorCode, number>();
  #since = 0;
  #current: { readonly code: ErrorCode; readonly message: string } | undefined;

  /** `now`: milliseconds that only go forward. */
  constructor(log: MirrorLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** What has failed since anything last succeeded. */
  get current(): { readonly code: ErrorCode; readonly message: string } | undefined {
    return this.#current;
  }

  counts(): Partial<Record<ErrorCode, number>> {
    return Object.fromEntries(this.#counts);
  }

  failed(error: SealgateError): void {
    const { code, message } = error;
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    const now = this.#now();
    if (this.#current === undefined) this.#since = now;
    this.#current = { code, message };
    const said = this.#said.get(code);
    if (said !== undefined && now - said < AGAIN_MS) return;
    this.#said.set(code, now);
    const passes = isRetryable(error);
    this.#log(
      passes ? 'warn' : 'error',
      { code, error: message },
      passes
        ? 'the mirror waits for its store and tries again'
        : 'the mirror cannot go on until somebody acts; it keeps trying',
    );
  }

  passed(): void {
    if (this.#current === undefined) return;
    // A single attempt that failed is nothing that anybody waits to hear the end of.
    const lasted = this.#now() - this.#since;
    if (lasted >= LASTING_MS)
      this.#log('info', { code: this.#current.code, seconds: lasted / 1000 }, 'the mirror goes on');
    this.#current = undefined;
  }
}
