// When what waits for the writer is sent to it: a commit costs nearly the same whether it holds one decision or sixteen, so those
// that are about to come are waited for, for a moment. PostgreSQL's commit_delay and commit_siblings are the same idea.

/** Longest that something waits for what is about to come. */
const HOLD_MS = 1;
/** Who has not come so long after having announced itself is not about to come. */
const SOON_MS = 2;

interface Announced {
  /** performance.now() */
  readonly at: number;
}

export class Gathering {
  readonly #send: () => void;
  /** In the order in which they announced themselves. */
  readonly #announced = new Set<Announced>();
  /** Since when something waits, by performance.now(); undefined when nothing does. */
  #since: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checking = false;

  /** `send` sends all that waits, if anything does. */
  constructor(send: () => void) {
    this.#send = send;
  }

  /** Something is about to come. To be called: what this returns, when it comes or will not. */
  announce(): () => void {
    const announced = { at: performance.now() };
    this.#announced.add(announced);
    return () => {
      // Who else has come in this turn of the event loop is sent along, hence not at once.
      if (this.#announced.delete(announced) && this.#announced.size === 0 && this.#timer !== undefined)
        this.#checkSoon();
    };
  }

  /** Something waits now. */
  wait(): void {
    if (this.#since !== undefined) return;
    this.#since = performance.now();
    this.#checkSoon();
  }

  #checkSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#checking) return;
    this.#checking = true;
    setImmediate(() => {
      this.#checking = false;
      this.#check();
    });
  }

  #check(): void {
    if (this.#since === undefined) return;
    const now = performance.now();
    if (this.#soon(now) && now - this.#since < HOLD_MS) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#check();
      }, HOLD_MS);
      return;
    }
    this.#since = undefined;
    this.#send();
  }

  /** Whether anything is about to come. */
  #soon(now: number): boolean {
    for (const announced of this.#announced) {
      if (now - announced.at < SOON_MS) return true;
      this.#announced.delete(announced);
    }
    return false;
  }
}
