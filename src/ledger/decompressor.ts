// Takes Zstandard frames apart with one context, as compressor.ts makes them with one. zstdDecompressSync makes a context for each,
// and a stream around it: 22 µs for the pack of one decision, where this takes 7.
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { isOneFrame } from './zstd-frame.ts';

/** The smallest that zlib takes. */
const MIN_CHUNK_BYTES = 64;
/** Audit events become 15 times smaller, rarely more. */
const USUAL_RATIO = 20;

/** What Compressor says of its own. */
interface SyncStream {
  _handle?: { close(): void } | null;
  _processChunk?(chunk: Uint8Array, flush: number): Buffer;
  removeAllListeners(event: string): unknown;
}

/** A larger frame gets a context of its own: that is little beside what it holds, which need not be copied then. */
const MAX_FRAME_BYTES = 16 * 1024;
/** Of the buffer that is used again and again. What a frame holds beyond it is put together from parts. */
const BUFFER_BYTES = 256 * 1024;

/**
 * Decompresses on the thread that calls it. Gives and refuses what zstdDecompressSync does, whatever it was given before. Owned by one
 * thread.
 */
export class Decompressor {
  readonly #maxBytes: number;
  #stream: SyncStream | undefined;
  #handle: SyncStream['_handle'];

  /** `maxBytes`: what may become larger gets a context of its own, too. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What `data` holds, in memory of its own. Throws when that is more than `maxBytes`, and when the data is damaged. */
  content(data: Buffer, maxBytes: number): Buffer {
    // Only one whole frame leaves the context where the next can begin: half of one, or bytes behind it, would be part of that.
    if (data.length > MAX_FRAME_BYTES || maxBytes > this.#maxBytes || !isOneFrame(data)) return alone(data, maxBytes);
    const stream = this.#stream ?? this.#open();
    if (stream._processChunk === undefined || !this.#handle) return alone(data, maxBytes);
    stream._handle = this.#handle;
    // If it throws, nobody knows what became of the context. The stream tells of the error again, later, to the listener that it has.
    this.#stream = undefined;
    const content = stream._processChunk(data, constants.ZSTD_e_end);
    // Each chunk adds one.
    stream.removeAllListeners('error');
    this.#stream = stream;
    if (content.length > maxBytes) throw new RangeError(`it holds more than ${maxBytes} bytes`);
    // A copy: it stands where the next will stand.
    return Buffer.from(content);
  }

  #open(): SyncStream {
    const options = { chunkSize: BUFFER_BYTES, maxOutputLength: this.#maxBytes };
    const stream = createZstdDecompress(options) as unknown as SyncStream;
    this.#handle = stream._handle;
    if (this.#handle) this.#handle.close = () => undefined;
    return stream;
  }
}

function alone(data: Buffer, maxBytes: number): Buffer {
  // Output is collected in chunks, and copied when there is more than one.
  const chunkSize = Math.max(MIN_CHUNK_BYTES, Math.min(maxBytes, data.length * USUAL_RATIO));
  return zstdDecompressSync(data, { maxOutputLength: Math.max(maxBytes, 1), chunkSize });
}
