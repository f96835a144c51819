// Zstandard frames one after the other with one context. zstdCompressSync makes a context for each, and a stream around it,
// which takes three times as long as compressing the few kilobytes of a decision: 40 µs where this takes 13.
import { constants, createZstdCompress, type ZstdOptions, zstdCompressSync } from 'node:zlib';

/** The smallest that zlib takes. */
const MIN_CHUNK_BYTES = 64;

/**
 * What Node's synchronous functions do with a stream of zlib: give a chunk to its handle, and close that. npm's minizlib, too, keeps
 * the handle from being closed to use it again.
 */
interface SyncStream {
  _handle?: { close(): void } | null;
  _processChunk?(chunk: Uint8Array, flush: number): Buffer;
  removeAllListeners(event: string): unknown;
}

/** Compresses on the thread that calls it. Owned by one thread. */
export class Compressor {
  readonly #params: NonNullable<ZstdOptions['params']>;
  readonly #maxBytes: number;
  #stream: SyncStream | undefined;
  #handle: SyncStream['_handle'];

  /** `maxBytes`: what is larger gets a context of its own. */
  constructor(params: NonNullable<ZstdOptions['params']>, maxBytes: number) {
    this.#params = params;
    this.#maxBytes = maxBytes;
  }

  /** One frame that says how much it holds. Valid until the next call. */
  frame(bytes: Uint8Array): Buffer {
    if (bytes.length > this.#maxBytes) return this.#alone(bytes);
    const stream = this.#stream ?? this.#open();
    if (stream._processChunk === undefined || !this.#handle) return this.#alone(bytes);
    stream._handle = this.#handle;
    // If it throws, nobody knows what became of the context. The stream tells of the error again, later, to the listener that it has.
    this.#stream = undefined;
    const frame = stream._processChunk(bytes, constants.ZSTD_e_end);
    // Each chunk adds one.
    stream.removeAllListeners('error');
    this.#stream = stream;
    return frame;
  }

  #open(): SyncStream {
    const chunkSize = compressBound(this.#maxBytes);
    const stream = createZstdCompress({ params: this.#params, chunkSize }) as unknown as SyncStream;
    this.#handle = stream._handle;
    if (this.#handle) this.#handle.close = () => undefined;
    return stream;
  }

  // Node collects the output in chunks, and where it fills the last one to the brim (by default, one frame in 16,384) an empty
  // second frame follows. In one chunk as large as the worst case that cannot be, and Zstandard then writes into it directly,
  // without a copy of the input and pages of its own for that.
  #alone(bytes: Uint8Array): Buffer {
    return zstdCompressSync(bytes, { params: this.#params, chunkSize: compressBound(bytes.length) });
  }
}

/** What Zstandard's output can take at most (ZSTD_COMPRESSBOUND in zstd.h). */
function compressBound(bytes: number): number {
  const margin = bytes < 128 * 1024 ? (128 * 1024 - bytes) >> 11 : 0;
  return Math.max(MIN_CHUNK_BYTES, bytes + (bytes >> 8) + margin);
}
