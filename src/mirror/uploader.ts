// Writes objects side by side, within bounds, and looks at what occupies a key before it is written over.
import { checkpointVersions } from './checkpoint-versions.ts';
import type { MirrorLog } from './log.ts';
import { MirrorClosing, type Patience } from './patience.ts';
import type { ObjectClass, ObjectStore } from './stores/store.ts';

/** Bytes of objects that are being written; one alone may have more. */
const MAX_BYTES = 32 * 2 ** 20;

export interface Upload {
  readonly key: string;
  readonly bytes: Buffer;
  readonly of: ObjectClass;
  /** Whether what occupies the key says the same in other bytes (another release may compress in another way). */
  readonly same?: (there: Buffer) => boolean;
}

/** Since the start. */
export interface UploadCounts {
  /** Objects written. */
  objects: number;
  bytes: number;
  /** Keys that held what was to be written: our own, from before a crash. */
  present: number;
  /** Keys that held something else. */
  occupied: number;
}

export class Uploader {
  readonly counts: UploadCounts = { objects: 0, bytes: 0, present: 0, occupied: 0 };
  readonly #store: ObjectStore;
  readonly #patience: Patience;
  readonly #parallel: number;
  readonly #log: MirrorLog;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failure: Error | undefined;

  constructor(store: ObjectStore, patience: Patience, parallel: number, log: MirrorLog) {
    this.#store = store;
    this.#patience = patience;
    this.#parallel = parallel;
    this.#log = log;
  }

  /** Resolves when the upload has begun: as long as too many are under way it waits. Rejects with MirrorClosing. */
  async begin(upload: Upload): Promise<void> {
    while (
      this.#running.size > 0 &&
      (this.#running.size >= this.#parallel || this.#bytes + upload.bytes.length > MAX_BYTES)
    ) {
      await Promise.race(this.#running);
    }
    this.#throwFailure();
    this.#bytes += upload.bytes.length;
    const running: Promise<void> = this.#create(upload)
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new MirrorClosing(String(error));
      })
      .finally(() => {
        this.#running.delete(running);
        this.#bytes -= upload.bytes.length;
      });
    this.#running.add(running);
  }

  /** Resolves when all that was begun is durable. Rejects with MirrorClosing. */
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  /** Begins and finishes. */
  async create(upload: Upload): Promise<void> {
    await this.begin(upload);
    await this.finish();
  }

  /** Writes whatever is there, after all that was begun. */
  async replace({ key, bytes, of }: Upload): Promise<void> {
    await this.finish();
    await this.#patience.until(() => this.#store.replace(key, bytes, of));
    this.#count(bytes);
  }

  /** The newest object under the key. One of more than `maxBytes` is not read: 'larger'. */
  read(key: string, maxBytes: number): Promise<Buffer | 'larger' | undefined> {
    return this.#patience.until(async () => {
      try {
        return await this.#store.get(key, { maxBytes });
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'MIRROR_OBJECT_TOO_LARGE') return 'larger';
        throw error;
      }
    });
  }

  /** Contents that the key of the newest checkpoint has had, newest first; see checkpointVersions. */
  checkpoints(key: string): Promise<Buffer[]> {
    return this.#patience.until(() => checkpointVersions(this.#store, key));
  }

  /** When the oldest of these objects was written, milliseconds by the store's clock; 0 when one is not there. */
  written(keys: readonly string[]): Promise<number> {
    return this.#patience.until(async () => {
      let oldest = Number.POSITIVE_INFINITY;
      for (const key of keys) oldest = Math.min(oldest, await this.#writtenAt(key));
      return oldest;
    });
  }

  async #writtenAt(wanted: string): Promise<number> {
    for await (const { key, deleteMarker, modified } of this.#store.versions(wanted)) {
      return key === wanted && !deleteMarker ? modified.getTime() : 0;
    }
    return 0;
  }

  /** The sizes of `<origin>/checkpoints/…`, as `parse` reads them from keys; the `most` largest ones, largest first. */
  largest(prefix: string, parse: (key: string) => number | undefined, most: number): Promise<number[]> {
    return this.#patience.until(async () => {
      let sizes: number[] = [];
      for await (const { key } of this.#store.list(prefix)) {
        const size = parse(key);
        if (size !== undefined) sizes = [...sizes, size].sort((a, b) => b - a).slice(0, most);
      }
      return sizes;
    });
  }

  async #create(upload: Upload): Promise<void> {
    const { key, bytes, of } = upload;
    const made = await this.#patience.until(() => this.#store.create(key, bytes, of));
    if (made === 'created') {
      this.#count(bytes);
      return;
    }
    // Twice the size: the same in other bytes is not much larger.
    const there = await this.read(key, 2 * bytes.length + 65_536);
    if (there instanceof Buffer && (there.equals(bytes) || upload.same?.(there) === true)) {
      this.counts.present += 1;
      return;
    }
    this.counts.occupied += 1;
    this.#log(
      'error',
      { key, found: there instanceof Buffer ? `${there.length} bytes` : (there ?? 'nothing') },
      'a key of the mirror held something else than what belongs there: somebody else writes to it, find out who; the right object is written as a new version',
    );
    await this.#patience.until(() => this.#store.replace(key, bytes, of));
    this.#count(bytes);
  }

  #count(bytes: Buffer): void {
    this.counts.objects += 1;
    this.counts.bytes += bytes.length;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
