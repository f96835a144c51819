// Where the bodies of a batch's events are put together, one behind the other: a Buffer of its own for each would make the
// garbage collector the largest consumer of a batch.

const FIRST_BYTES = 256 * 1024;
/** A larger one is given back after use. */
const KEPT_BYTES = 8 * 1024 * 1024;

const CLOSING_BRACE = 0x7d;

/** Reused from batch to batch: `begin` invalidates every body that was written before. */
export class BodySlab {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #used = 0;

  /** For a batch that came in so many bytes. */
  begin(bytes: number): void {
    this.#used = 0;
    // Prefixes come on top of that: of small events they can be more than the events themselves.
    const wanted = Math.max(FIRST_BYTES, bytes + bytes / 8);
    if (this.#buffer.length < wanted || this.#buffer.length > Math.max(wanted, KEPT_BYTES)) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.ceil(wanted));
    }
  }

  /** `<prefix><event>}`: a view, valid until the next `begin`. */
  body(prefix: Uint8Array, event: Uint8Array): Buffer {
    const start = this.#used;
    const end = start + prefix.length + event.length + 1;
    if (end > this.#buffer.length) {
      // What was handed out keeps the one before alive.
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, end - start, this.#buffer.length));
      this.#used = 0;
      return this.body(prefix, event);
    }
    const buffer = this.#buffer;
    buffer.set(prefix, start);
    buffer.set(event, start + prefix.length);
    buffer[end - 1] = CLOSING_BRACE;
    this.#used = end;
    return buffer.subarray(start, end);
  }
}
