// The buffers in which bodies travel to the writer thread and come back empty: a new one for each audit batch would be most of
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

/** Room for the bodies of one message's appends, in buffers that they share: one for each would be dear to send. */
export class SharedRoom {
  readonly #buffers: BodyBuffers;
  #taken: ArrayBuffer[] = [];
  /** Where the last of them is filled up to. */
  #end = 0;

  constructor(buffers: BodyBuffers) {
    this.#buffers = buffers;
  }

  /** Room for so many bytes, which may hold something from before. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    let buffer = this.#taken.at(-1);
    if (buffer === undefined || this.#end + bytes > buffer.byteLength) {
      buffer = this.#buffers.take(Math.max(bytes, RETURNED_BYTES)).buffer;
      this.#taken.push(buffer);
      this.#end = 0;
    }
    const room = new Uint8Array(buffer, this.#end, bytes);
    this.#end += bytes;
    return room;
  }

  /** The buffers in which room was taken, which are the caller's now. */
  release(): ArrayBuffer[] {
    const taken = this.#taken;
    this.#taken = [];
    return taken;
  }
}
