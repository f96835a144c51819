// The memory in which large bodies arrive, used again for the next ones: a new piece for each would have to be cleared page by
// page by the kernel, and be collected.

/** Smaller bodies are not worth it. */
export const ROOM_BYTES = 64 * 1024;
/** Sizes are rounded up to this, so that what held one body fits the next. */
const GRAIN_BYTES = 256 * 1024;
/** Of all that wait for their next use. */
const KEPT_BYTES = 8 * 1024 * 1024;

export class BodyRoom {
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;

  /** Room for so many bytes, if there is any that was used before; what it holds is left over from others. */
  find(bytes: number): Buffer | undefined {
    const at = this.#kept.findIndex(({ length }) => length >= bytes);
    const [found] = at < 0 ? [] : this.#kept.splice(at, 1);
    this.#keptBytes -= found?.length ?? 0;
    return found;
  }

  /** Room for so many bytes. */
  take(bytes: number): Buffer {
    return this.find(bytes) ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES);
  }

  /** Takes room back that nobody uses any more. */
  give(room: Buffer): void {
    if (this.#keptBytes + room.length > KEPT_BYTES) return;
    this.#kept.push(room);
    this.#keptBytes += room.length;
  }
}
