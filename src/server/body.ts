// Reads a request's body under two limits: its own, and that of all bodies of a listener together.
import type { IncomingMessage } from 'node:http';

/** What a request takes besides its body, so that tiny ones are bounded in number too. */
const REQUEST_BYTES = 4096;

/** Smaller pieces are copied together: each by itself takes a hundred bytes and more, and keeps what it arrived in. */
const SMALL_BYTES = 1024;
const FIRST_GATHERED_BYTES = 4096;
const MAX_GATHERED_BYTES = 64 * 1024;

/** Bytes of requests that are being received or worked on, of all connections of a listener. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether a request with so large a body could be taken now. */
  hasRoom(bodyBytes: number): boolean {
    return this.#used + REQUEST_BYTES + bodyBytes <= this.#max;
  }

  /** Takes so much if there is room. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** The body of one request. Room counts from when bytes arrive: nobody can take any by announcing a large body. */
export class Body {
  readonly #message: IncomingMessage;
  readonly #budget: ByteBudget;
  #chunks: Buffer[] = [];
  /** Where small pieces are gathered, and how much of it is filled; it follows the chunks. */
  #gathered: Buffer = Buffer.alloc(0);
  #filled = 0;
  #size = 0;
  #held = 0;

  constructor(message: IncomingMessage, budget: ByteBudget) {
    this.#message = message;
    this.#budget = budget;
  }

  /** Calls one of the two once; neither when the connection ends before the body does. */
  read(limit: number, done: (body: Buffer) => void, refused: (why: 'too-large' | 'overloaded') => void): void {
    const stop = (why: 'too-large' | 'overloaded') => {
      this.#message.off('data', onData).off('end', onEnd);
      this.release();
      refused(why);
    };
    const onData = (chunk: Buffer) => {
      if (this.#size + chunk.length > limit) return stop('too-large');
      // The first chunk pays for the request, too.
      const cost = chunk.length + (this.#held === 0 ? REQUEST_BYTES : 0);
      if (!this.#budget.take(cost)) return stop('overloaded');
      this.#held += cost;
      this.#size += chunk.length;
      this.#add(chunk);
    };
    const onEnd = () => {
      this.#flush();
      const [first] = this.#chunks;
      const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#size);
      this.#chunks = [];
      done(body);
    };
    this.#message.on('data', onData).on('end', onEnd);
  }

  /** Gives the room back. Safe to call twice. */
  release(): void {
    this.#budget.give(this.#held);
    this.#held = 0;
    this.#chunks = [];
    this.#gathered = Buffer.alloc(0);
    this.#filled = 0;
  }

  #add(chunk: Buffer): void {
    if (chunk.length >= SMALL_BYTES) {
      this.#flush();
      this.#chunks.push(chunk);
      return;
    }
    if (this.#filled + chunk.length > this.#gathered.length) {
      const wanted = Math.min(MAX_GATHERED_BYTES, Math.max(FIRST_GATHERED_BYTES, this.#gathered.length * 2));
      this.#flush();
      this.#gathered = Buffer.allocUnsafeSlow(wanted);
    }
    this.#filled += chunk.copy(this.#gathered, this.#filled);
  }

  /** Makes what was gathered the last of the chunks. */
  #flush(): void {
    if (this.#filled > 0) this.#chunks.push(this.#gathered.subarray(0, this.#filled));
    this.#gathered = this.#gathered.subarray(this.#filled);
    this.#filled = 0;
  }
}
