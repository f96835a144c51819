// What one thread that evaluates has not been told of the data yet: changes wait here, the newest of each place only, and go out in
// parts that are small enough for an evaluation to wait behind one.
import type { DataOp } from './data-document.ts';
import type { DataPart } from './protocol.ts';

/** Text of one part, unless a single value is larger: half a millisecond of parsing. */
const PART_BYTES = 16 * 1024;
const PART_CHANGES = 64;
/** For a thread that evaluates nothing yet, so that it is ready sooner. */
const LOADING_PART_BYTES = 1024 * 1024;
const LOADING_PART_CHANGES = 4096;

export class DataFeed {
  readonly #post: (part: DataPart) => void;
  /** Of the places that changed, in the order of their newest change. */
  #waiting = new Map<string, Uint8Array | undefined>();
  #waitingRevision = 0;
  /** An update, or several that became one, of which the rest is still to be sent. */
  #sending: [path: string, value: Uint8Array | undefined][] = [];
  #sendingRevision = 0;
  #next = 0;
  #inFlight = false;
  #state: 'closed' | 'loading' | 'running' | 'stopped' = 'closed';
  /** Newest that the thread evaluates with. */
  revision = 0;

  constructor(post: (part: DataPart) => void) {
    this.#post = post;
  }

  /** Whether the thread has a part to take at the moment. */
  get busy(): boolean {
    return this.#inFlight;
  }

  /** Whether the thread will never have what is new. */
  get stopped(): boolean {
    return this.#state === 'stopped';
  }

  add(ops: readonly DataOp[], revision: number): void {
    if (this.stopped) return;
    for (const { path, value } of ops) {
      // Behind what came since, because the order matters between a place and one above it.
      this.#waiting.delete(path);
      this.#waiting.set(path, value);
    }
    this.#waitingRevision = revision;
    this.#send();
  }

  /** The thread is there, and evaluates nothing yet. */
  load(): void {
    this.#state = 'loading';
    this.#send();
  }

  /** The thread evaluates. */
  run(): void {
    this.#state = 'running';
  }

  /** The thread has answered. After a failure it is sent nothing more. */
  taken(ok: boolean): void {
    this.#inFlight = false;
    if (!ok) this.#state = 'stopped';
    else if (this.#next === this.#sending.length) this.revision = this.#sendingRevision;
    if (this.stopped) {
      this.#waiting.clear();
      this.#sending = [];
    } else this.#send();
  }

  #send(): void {
    if (this.#inFlight || this.#state === 'closed' || this.stopped) return;
    if (this.#next === this.#sending.length) {
      if (this.#waitingRevision === this.revision) return;
      this.#sending = [...this.#waiting];
      this.#sendingRevision = this.#waitingRevision;
      this.#next = 0;
      this.#waiting = new Map();
    }
    this.#inFlight = true;
    this.#post(this.#part());
  }

  #part(): DataPart {
    const loading = this.#state === 'loading';
    const [mostBytes, mostChanges] = loading ? [LOADING_PART_BYTES, LOADING_PART_CHANGES] : [PART_BYTES, PART_CHANGES];
    const begin = this.#next;
    let bytes = 0;
    for (; this.#next < this.#sending.length && this.#next - begin < mostChanges; this.#next++) {
      const length = this.#sending[this.#next]?.[1]?.length ?? 0;
      if (bytes > 0 && bytes + length > mostBytes) break;
      bytes += length;
    }
    const changes = this.#sending.slice(begin, this.#next);
    const values = new Uint8Array(bytes);
    let end = 0;
    for (const [, value] of changes) {
      if (value === undefined) continue;
      values.set(value, end);
      end += value.length;
    }
    return {
      type: 'data',
      paths: changes.map(([path]) => path),
      values,
      lengths: changes.map(([, value]) => value?.length ?? -1),
      ...(this.#next === this.#sending.length ? { revision: this.#sendingRevision } : {}),
    };
  }
}
