// Records in the ledger what the mirror holds, seldom, and only when something else than such records came since: an anchor
// that is pushed itself brings no other one.
import type { Append } from '../ledger/entry.ts';
import { formatMicros } from '../lib/clock.ts';
import type { PushedMessage } from './mirror.ts';

export interface AnchorOptions {
  /** At least so long between two. 0: none. */
  readonly everyMs: number;
  readonly append: (entry: Append) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
  /** Microseconds by the wall clock. */
  readonly wall: () => number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
}

export class Anchors {
  readonly #options: AnchorOptions;
  #latest: PushedMessage | undefined;
  #news = false;
  #at = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AnchorOptions) {
    this.#options = options;
  }

  pushed(message: PushedMessage): void {
    if (this.#closed || this.#options.everyMs === 0) return;
    this.#latest = message;
    this.#news ||= message.news;
    if (!this.#news || this.#timer !== undefined) return;
    const wait = this.#at + this.#options.everyMs - this.#options.now();
    if (wait <= 0) this.#write();
    else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#write();
      }, wait);
    }
  }

  /** Before the ledger closes. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #write(): void {
    const { append, onFailure, now, wall } = this.#options;
    if (this.#latest === undefined) return;
    const { url: store, shard, origin, size, root, note, cosignedBy } = this.#latest;
    const witnessed = cosignedBy.length === 0 ? {} : { cosigned: cosignedBy, checkpoint: note };
    const body = { store, shard, origin, size, root, time: formatMicros(wall()), ...witnessed };
    this.#news = false;
    this.#at = now();
    append({ kind: 'anchor', body: Buffer.from(JSON.stringify(body)) }).catch((error: unknown) => {
      // With the next push it is tried again.
      this.#news = true;
      if (!this.#closed) onFailure(error);
    });
  }
}
