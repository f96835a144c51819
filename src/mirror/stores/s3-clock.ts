// Retain-until dates, and whether our clock agrees with that of the object storage. The SDK corrects its
// signatures silently for a clock that is off: without this nobody would notice one that is years off before locks end at the wrong time.
import type { Clock } from '../../lib/clock.ts';
import { SealgateError } from '../../lib/errors.ts';

/** As much as S3 itself allows a signature to be off. */
const MAX_SKEW_MS = 15 * 60_000;

export class S3Clock {
  readonly #clock: Clock;
  /** Milliseconds of a clock that nobody steps. */
  readonly #steady: () => number;
  #seen: { readonly server: number; readonly steady: number } | undefined;

  constructor(clock: Clock, steady: () => number) {
    this.#clock = clock;
    this.#steady = steady;
  }

  /** The `Date` header of an answer that has just come; text that is no date is passed over. */
  saw(date: string | undefined): void {
    const server = date === undefined ? Number.NaN : Date.parse(date);
    if (!Number.isNaN(server)) this.#seen = { server, steady: this.#steady() };
  }

  /** Milliseconds that our clock is ahead of the server's, judged from its last answer; undefined before the first. */
  ahead(): number | undefined {
    if (this.#seen === undefined) return undefined;
    return this.#now() - (this.#seen.server + this.#steady() - this.#seen.steady);
  }

  agrees(): boolean {
    const ahead = this.ahead();
    return ahead !== undefined && Math.abs(ahead) <= MAX_SKEW_MS;
  }

  /** Throws MIRROR_CLOCK when the two are known to disagree. */
  check(url: string): void {
    const ahead = this.ahead();
    if (ahead === undefined || this.agrees()) return;
    const here = new Date(this.#now());
    const there = new Date(this.#now() - ahead);
    throw new SealgateError(
      'MIRROR_CLOCK',
      `it is ${text(here)} here, and ${text(there)} for ${url}: nothing is written, because locks would end at the wrong time; synchronise the clock of this machine`,
    );
  }

  /** When so many milliseconds will have passed, here and, as far as it has said what time it is, for the server. */
  in(ms: number): Date {
    const latest = this.#now() + Math.max(0, -(this.ahead() ?? 0)) + ms;
    // Whole seconds, because some servers cut the rest off.
    return new Date(Math.ceil(latest / 1000) * 1000);
  }

  #now(): number {
    return Math.floor(this.#clock.now() / 1000);
  }
}

function text(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'no time at all' : date.toISOString();
}
