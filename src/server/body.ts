// Reads a request's body under two limits: its own, and that of all bodies of a listener together.
import type { IncomingMessage } from 'node:http';
import { type BodyRoom, ROOM_BYTES } from './body-room.ts';

/** What a request takes besides its body, so that tiny ones are bounded in number too. */
const REQUEST_BYTES = 4096;

/** Smaller pieces are copied together: each by itself takes a hundred bytes and more, and keeps what it arrived in. */
const SMALL_BYTES = 1024;
const FIRST_GATHERED_BYTES = 4096;
const MAX_GATHERED_BYTES = 64 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

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
  readonly #room: BodyRoom | undefined;
  /** Of the room: what the body is put together in. */
  #whole: Buffer | undefined;
  #chunks: Buffer[] = [];
  /** Where small pieces are gathered, and how much of it is filled; it follows the chunks. */
  #gathered = NOTHING;
  #filled = 0;
  #size = 0;
  #held = 0;

  /** With `room`, the body's bytes are another one's after `release`. */
  constructor(message: IncomingMessage, budget: ByteBudget, room?: BodyRoom) {
    this.#message = message;
    this.#budget = budget;
    this.#room = room;
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
      if (this.#held === 0) this.#findRoom();
      this.#held += cost;
      this.#add(chunk);
      this.#size += chunk.length;
    };
    const onEnd = () => {
      this.#flush();
      const body = this.#together();
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
    this.#gathered = NOTHING;
    this.#filled = 0;
    if (this.#whole !== undefined) this.#room?.give(this.#whole);
    this.#whole = undefined;
  }

  /** A body that is announced goes where there is room for it already: only what has arrived may take new memory. */
  #findRoom(): void {
    const announced = Number(this.#message.headers?.['content-length'] ?? 0);
    if (announced >= ROOM_BYTES) this.#whole = this.#room?.find(announced);
  }

  /** What arrived, as one. */
  #together(): Buffer {
    const [first] = this.#chunks;
    if (this.#whole !== undefined) return this.#whole.subarray(0, this.#size);
    if (this.#chunks.length === 1 && first !== undefined) return first;
    if (this.#room === undefined || this.#size < ROOM_BYTES) return Buffer.concat(this.#chunks, this.#size);
    const whole = this.#room.take(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) at += chunk.copy(whole, at);
    this.#whole = whole;
    return whole.subarray(0, at);
  }

  #add(chunk: Buffer): void {
    if (this.#whole !== undefined) {
      // More than was announced is the parser's to refuse: a part of it would be taken for the whole.
      if (chunk.copy(this.#whole, this.#size) < chunk.length)
        throw new Error('a body is longer than its Content-Length');
      return;
    }
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
    if (this.#filled === 0) return;
    this.#chunks.push(this.#gathered.subarray(0, this.#filled));
    this.#gathered = this.#gathered.subarray(this.#filled);
    this.#filled = 0;
  }
}
