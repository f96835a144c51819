// Tries one thing against a store until it succeeds, with back-off that all who use the same store share. Nothing is given up:
// the ledger keeps what the mirror lacks.
import { messageOf, SealgateError } from '../lib/errors.ts';
import { isRetryable } from './stores/errors.ts';

/** Most that is waited between two attempts, in milliseconds: what passes by itself, and what waits for somebody. */
const MAX_WAIT_MS = 30_000;
const MAX_WAIT_OPERATOR_MS = 60_000;
const BASE_MS = 200;

export interface PatienceOptions {
  readonly signal: AbortSignal;
  /** Called for each failed attempt. */
  readonly onFailure: (error: SealgateError) => void;
  readonly onSuccess: () => void;
  /** 0 … 1, for the jitter. */
  readonly random: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
}

/** The mirror is being closed: what was under way is left to the next start. */
export class MirrorClosing extends Error {}

export class Patience {
  readonly #options: PatienceOptions;
  #failures = 0;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Repeats `attempt` until it does not fail. Rejects only with MirrorClosing. */
  async until<T>(attempt: () => Promise<T>): Promise<T> {
    const { signal, onFailure, onSuccess, now, sleep } = this.#options;
    for (;;) {
      if (signal.aborted) throw new MirrorClosing();
      const began = now();
      try {
        const result = await attempt();
        this.#failures = 0;
        onSuccess();
        return result;
      } catch (error) {
        if (signal.aborted) throw closing(error);
        const failure = coded(error);
        // Attempts that ran side by side failed for one reason: they count once.
        if (began >= this.#failedAt) {
          this.#failures += 1;
          this.#failedAt = now();
        }
        onFailure(failure);
        await sleep(this.#wait(failure), signal);
      }
    }
  }

  /** Full jitter: any time up to the limit, so that many do not come back at once. */
  #wait(failure: SealgateError): number {
    const most = isRetryable(failure) ? MAX_WAIT_MS : MAX_WAIT_OPERATOR_MS;
    return this.#options.random() * Math.min(most, BASE_MS * 2 ** Math.min(this.#failures, 20));
  }
}

/** Waits, or ends early when the signal comes. */
export function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

function coded(error: unknown): SealgateError {
  if (error instanceof SealgateError) return error;
  return new SealgateError('INTERNAL', `the mirror failed in a way that nobody foresaw: ${messageOf(error)}`, {
    cause: error,
  });
}

function closing(cause: unknown): MirrorClosing {
  return new MirrorClosing('the mirror is being closed', { cause });
}
