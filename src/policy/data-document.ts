// The data that changes while policies are evaluated: the one truth on the main thread, from which every evaluator thread is
// filled when it starts and told of changes later. Knows nothing of what the data mean.

/** One place in the data document and what stands there from now on; without a value, nothing does. */
export interface DataChange {
  readonly path: readonly string[];
  /** A JSON document. Not to be changed afterwards. */
  readonly value?: Uint8Array;
}

/** A change as the threads are given it. */
export interface DataOp {
  /** The path as a JSON array. */
  readonly path: string;
  readonly value?: Uint8Array;
}

/** Told of every update; resolves when whoever evaluates for it does so with the update. */
export type DataListener = (ops: readonly DataOp[], revision: number) => Promise<void>;

/** An object that has become empty is removed with its last member, but for this many levels at the top. */
const KEPT_LEVELS = 2;
/** What is said of a revision is kept for this many; a thread is never further behind for long. */
const MAX_ABOUT = 4096;

export class DataDocument<About = unknown> {
  readonly #values = new Map<string, Uint8Array>();
  /** Members of each object above the values, by path. */
  readonly #members = new Map<string, number>();
  readonly #listeners = new Set<DataListener>();
  readonly #about = new Map<number, About>();
  #revision = 0;
  #bytes = 0;

  /** Updates so far. */
  get revision(): number {
    return this.#revision;
  }

  /** Number and JSON bytes of the values. */
  get size(): { readonly values: number; readonly bytes: number } {
    return { values: this.#values.size, bytes: this.#bytes };
  }

  /**
   * Makes the changes, in their order, as one: no evaluation sees a part of them. Resolves when every evaluation that begins
   * from then on sees them. A value must not stand above another.
   */
  async update(changes: readonly DataChange[], about: About): Promise<void> {
    const ops = changes.flatMap((change) => this.#apply(change));
    const revision = ++this.#revision;
    this.#about.set(revision, about);
    this.#about.delete(revision - MAX_ABOUT);
    await Promise.all([...this.#listeners].map((listener) => listener(ops, revision)));
  }

  /** What was said with the update of that revision, unless it is long ago. */
  about(revision: number): About | undefined {
    return this.#about.get(revision);
  }

  /** All of it, for a thread that has nothing yet. */
  snapshot(): DataOp[] {
    return Array.from(this.#values, ([path, value]) => ({ path, value }));
  }

  /** The function that is returned ends it. */
  subscribe(listener: DataListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #apply({ path, value }: DataChange): DataOp[] {
    const key = JSON.stringify(path);
    const old = this.#values.get(key);
    this.#bytes += (value?.length ?? 0) - (old?.length ?? 0);
    if (value !== undefined) {
      this.#values.set(key, value);
      if (old === undefined) this.#count(path);
      return [{ path: key, value }];
    }
    if (old === undefined) return [];
    this.#values.delete(key);
    return [{ path: JSON.stringify(this.#uncount(path)) }];
  }

  /** Counts a new value in the objects above it, up to the first that was there. */
  #count(path: readonly string[]): void {
    for (let depth = path.length - 1; depth >= KEPT_LEVELS; depth--) {
      const above = JSON.stringify(path.slice(0, depth));
      const members = this.#members.get(above) ?? 0;
      this.#members.set(above, members + 1);
      if (members > 0) return;
    }
  }

  /** The path that has to go for a value that is gone: its own, or that of the highest object that it leaves empty. */
  #uncount(path: readonly string[]): readonly string[] {
    for (let depth = path.length - 1; depth >= KEPT_LEVELS; depth--) {
      const above = JSON.stringify(path.slice(0, depth));
      const members = (this.#members.get(above) ?? 1) - 1;
      if (members > 0) {
        this.#members.set(above, members);
        return path.slice(0, depth + 1);
      }
      this.#members.delete(above);
    }
    return path.slice(0, Math.min(path.length, KEPT_LEVELS + 1));
  }
}
