// The buffers in which bodies travel to the thread that writes and come back empty: a new one for each audit batch would be most of
// what the garbage collector has to do, and the kernel would have to clear every page of it.

/** Smaller ones are not worth the way back. */
export const RETURNED_BYTES = 64 * 1024;
/** Sizes are rounded up to this, so that one batch's buffer fits the next. */
const GRAIN_BYTES = 256 * 1024;
/** Of all that wait for their next use. */
const KEPT_BYTES = 8 * 1024 * 1024;

export class BodyBuffers {
  readonly #kept: ArrayBuffer[] = [];
  #keptBytes = 0;

  /** Room for so many bytes, in an ArrayBuffer of its own; what it holds is left over from others. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes < RETURNED_BYTES) return new Uint8Array(bytes);
    const at = this.#kept.findIndex(({ byteLength }) => byteLength >= bytes);
    const [buffer] = at < 0 ? [] : this.#kept.splice(at, 1);
    this.#keptBytes -= buffer?.byteLength ?? 0;
    return new Uint8Array(buffer ?? new ArrayBuffer(Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES), 0, bytes);
  }

  /** Takes one back that is used no more. */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength < RETURNED_BYTES || this.#keptBytes + buffer.byteLength > KEPT_BYTES) return;
    this.#kept.push(buffer);
    this.#keptBytes += buffer.byteLength;
  }
}
