// Whether work that waits gets on: what is handed to a disk that hangs neither fails nor succeeds.

export interface Work {
  /** Items that wait. */
  readonly waiting: number;
  /** Steps done so far; any step is progress. */
  readonly done: number;
}

/** Looks at work whenever it is asked, and remembers since when nothing has moved. */
export class Progress {
  readonly #now: () => number;
  #done = -1;
  #since = 0;

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds for which items have been seen waiting without a step; 0 when nothing waits or something moved since the last look. */
  stuckMs({ waiting, done }: Work): number {
    const now = this.#now();
    if (waiting === 0 || done !== this.#done) {
      this.#done = done;
      this.#since = now;
    }
    return now - this.#since;
  }
}
