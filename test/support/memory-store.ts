// A store with versions, delete markers and locks in memory, so that a test can do to it what whoever holds a bucket can do, and more:
// on a real server nobody removes a locked version.
import type { ListedObject, ObjectStore, Retention, StoredVersion } from '../../src/mirror/stores/store.ts';

interface Kept {
  readonly version: string;
  /** Undefined: a delete marker. */
  readonly bytes: Buffer | undefined;
  readonly modified: Date;
  readonly lock: Retention;
}

export class MemoryStore implements ObjectStore {
  readonly url = 's3://memory/mirror';
  /** Oldest first. */
  readonly objects = new Map<string, Kept[]>();
  lock: Retention = { mode: 'none', legalHold: false };
  now = new Date('2026-03-01T00:00:00Z');
  #versions = 0;

  /** A new version on top, by whomever. */
  put(key: string, bytes: Uint8Array | string | undefined): void {
    this.objects.set(key, [...(this.objects.get(key) ?? []), this.#kept(bytes)]);
  }

  /** As if something had been there before the first version. */
  squat(key: string, bytes: Uint8Array | string): void {
    this.objects.set(key, [this.#kept(bytes), ...(this.objects.get(key) ?? [])]);
  }

  /** Nothing else was ever there. */
  set(key: string, bytes: Uint8Array | string): void {
    this.objects.set(key, [this.#kept(bytes)]);
  }

  hide(key: string): void {
    this.put(key, undefined);
  }

  erase(key: string): void {
    this.objects.delete(key);
  }

  bytes(key: string): Buffer {
    const bytes = this.objects.get(key)?.findLast((one) => one.bytes !== undefined)?.bytes;
    if (bytes === undefined) throw new Error(`${key} is not there`);
    return Buffer.from(bytes);
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'occupied'> {
    if (this.objects.get(key)?.at(-1)?.bytes !== undefined) return 'occupied';
    this.put(key, bytes);
    return 'created';
  }

  async replace(key: string, bytes: Uint8Array): Promise<void> {
    this.put(key, bytes);
  }

  async get(key: string, options: { version?: string } = {}): Promise<Buffer | undefined> {
    const all = this.objects.get(key) ?? [];
    const found = options.version === undefined ? all.at(-1) : all.find(({ version }) => version === options.version);
    return found?.bytes === undefined ? undefined : Buffer.from(found.bytes);
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    for await (const { key, size, newest, deleteMarker } of this.versions(prefix)) {
      if (newest && !deleteMarker) yield { key, size };
    }
  }

  async *versions(prefix: string): AsyncIterable<StoredVersion> {
    for (const key of this.keys(prefix)) {
      for (const [i, { version, bytes, modified }] of (this.objects.get(key) ?? []).toReversed().entries()) {
        yield { key, version, size: bytes?.length ?? 0, newest: i === 0, deleteMarker: bytes === undefined, modified };
      }
    }
  }

  async retention(key: string, version: string): Promise<Retention | undefined> {
    return this.objects.get(key)?.find((one) => one.version === version && one.bytes !== undefined)?.lock;
  }

  close(): void {
    // Nothing is open.
  }

  #kept(bytes: Uint8Array | string | undefined): Kept {
    this.#versions += 1;
    const content = bytes === undefined ? undefined : Buffer.from(bytes);
    return { version: `v${this.#versions}`, bytes: content, modified: this.now, lock: this.lock };
  }
}
