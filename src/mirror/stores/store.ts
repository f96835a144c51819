// What a store of mirrored objects promises. One file beside this for each kind of store; everybody else knows only this.

/**
 * What an object is, which decides how long it is locked.
 * - `log`: leaves, tiles, checkpoints; also the last, never to be filled tiles and bundles of a sealed shard.
 * - `bodies`: bodies and their salts, which the law may want erased before the log.
 * - `partial`: what a later object replaces. Its lock is short: while nothing has replaced it, write it again before that ends.
 */
export type ObjectClass = 'log' | 'bodies' | 'partial';

export interface StoredVersion {
  readonly key: string;
  /** As the store names it; '' where a store has none. */
  readonly version: string;
  /** Bytes; 0 for a delete marker. */
  readonly size: number;
  /** Whether a read of the key without a version finds this one (or, if it is a marker, nothing). */
  readonly newest: boolean;
  readonly deleteMarker: boolean;
  /** When it was written, by the store's clock. */
  readonly modified: Date;
}

export interface Retention {
  readonly mode: 'compliance' | 'governance' | 'none';
  /** Until when the version cannot be deleted; absent when the mode is none. */
  readonly until?: Date;
  readonly legalHold: boolean;
}

export interface ListedObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
}

export interface GetOptions {
  /** One version by name, instead of the newest. */
  readonly version?: string;
  /** More than this is an error; the default is 1 GiB. */
  readonly maxBytes?: number;
}

/**
 * Keys are relative to the store's prefix: parts of visible ASCII between slashes, none of which begins with a dot.
 *
 * Every method throws SealgateError with one of the MIRROR_ codes; `isRetryable` in errors.ts tells which pass by themselves.
 * After an error of `create` or `replace` the object may or may not be there: do it again, and compare when it is `occupied`.
 */
export interface ObjectStore {
  /** For messages: `s3://bucket/prefix` or `file:///dir`. */
  readonly url: string;

  /**
   * Resolves when the object is durable and locked as its class asks. `occupied`: something is under the key already (a
   * repeated call finds its own first attempt, too) and nothing was written. What only a delete marker hides does not occupy.
   */
  create(key: string, bytes: Uint8Array, of: ObjectClass): Promise<'created' | 'occupied'>;

  /** Writes a new version, whatever is there, and resolves when it is durable and locked as its class asks. */
  replace(key: string, bytes: Uint8Array, of: ObjectClass): Promise<void>;

  /**
   * The whole object, or undefined when there is none or a delete marker hides it. A body that was cut off or altered on the
   * way is MIRROR_TRANSFER_DAMAGED, one above `maxBytes` MIRROR_OBJECT_TOO_LARGE; nothing is said of its truth otherwise.
   */
  get(key: string, options?: GetOptions): Promise<Buffer | undefined>;

  /** The newest visible objects whose keys begin with `prefix`, in key order. Keys that others chose may be any text. */
  list(prefix: string): AsyncIterable<ListedObject>;

  /** Every version and every delete marker under `prefix`, in key order; those of one key newest first. */
  versions(prefix: string): AsyncIterable<StoredVersion>;

  /** The lock of one version as the store reports it, or undefined when there is no such version (or it is a marker). */
  retention(key: string, version: string): Promise<Retention | undefined>;

  /** Ends idle connections. What is under way may fail. */
  close(): void;
}

/** More than any object of ours: a body is at most 512 MiB. */
export const DEFAULT_MAX_BYTES = 2 ** 30;
