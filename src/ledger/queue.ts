// What waits for the writer, in two lanes, and how much of it the next commit takes.
import { RETURNED_BYTES } from './body-buffers.ts';
import type { AppendMessage, CommittedPart, Lane } from './messages.ts';
import type { Staged } from './store.ts';

interface Limit {
  readonly entries: number;
  readonly bytes: number;
}

/** The decisions of one commit are bounded too: a large one costs time in proportion to its bytes. */
const DECISIONS: Limit = { entries: 1024, bytes: 16 * 1024 * 1024 };

/**
 * A commit takes the decisions that wait, and at most one slice of the audit lane. So a decision waits for the rest of one
 * commit and for its own, whose audit parts are bounded, however long the audit lane is. Large slices are cheaper by the
 * event (one fsync each), small ones make decisions wait less: beside decisions a slice is small.
 */
const AUDIT: Limit = { entries: 256, bytes: 1024 * 1024 };
const AUDIT_BESIDE_DECISIONS: Limit = { entries: 64, bytes: 256 * 1024 };
/** In the commit that holds the decisions themselves: enough that the audit lane moves on whatever decisions there are. */
const AUDIT_WITH_DECISIONS: Limit = { entries: 16, bytes: 64 * 1024 };
/** After a commit with decisions, this many more are expected to have some. */
const EXPECT_MORE = 32;

/** What one commit takes. */
export interface Slice {
  readonly entries: Staged[];
  /** Which entries belong to which append; `first` counts from the beginning of the slice. */
  readonly parts: CommittedPart[];
  /** How many of the entries are of the decision lane; they come first. */
  decisions: number;
  /** Large buffers whose last bodies are in this slice. */
  readonly spent: ArrayBuffer[];
}

interface Waiting {
  readonly message: AppendMessage;
  /** The next entry to take, and where its body begins. */
  next: number;
  offset: number;
}

export class WriterQueue {
  readonly #lanes: Record<Lane, Waiting[]> = { decision: [], audit: [] };
  /** Commits since one with decisions. */
  #calm = EXPECT_MORE;

  get empty(): boolean {
    return this.#lanes.decision.length === 0 && this.#lanes.audit.length === 0;
  }

  push(message: AppendMessage): void {
    this.#lanes[message.lane].push({ message, next: 0, offset: 0 });
  }

  /** Takes what the next commit holds, decisions first. Entries of one append keep their order. */
  take(): Slice {
    const slice: Slice = { entries: [], parts: [], decisions: 0, spent: [] };
    this.#takeFrom('decision', DECISIONS, slice);
    slice.decisions = slice.entries.length;
    this.#calm = slice.parts.length > 0 ? 0 : Math.min(this.#calm + 1, EXPECT_MORE);
    this.#takeFrom('audit', this.#auditLimit(), slice);
    return slice;
  }

  #auditLimit(): Limit {
    if (this.#calm === 0) return AUDIT_WITH_DECISIONS;
    return this.#calm < EXPECT_MORE ? AUDIT_BESIDE_DECISIONS : AUDIT;
  }

  /** Drops what is left of these appends. */
  drop(ids: ReadonlySet<number>): void {
    for (const lane of Object.keys(this.#lanes) as Lane[]) {
      this.#lanes[lane] = this.#lanes[lane].filter(({ message }) => !ids.has(message.id));
    }
  }

  #takeFrom(lane: Lane, limit: Limit, slice: Slice): void {
    const queue = this.#lanes[lane];
    let entries = 0;
    let bytes = 0;
    let finished = 0;
    while (finished < queue.length) {
      const waiting = queue[finished] as Waiting;
      const { kinds, extras, sizes, bodies, id } = waiting.message;
      const first = slice.entries.length;
      while (waiting.next < sizes.length && entries < limit.entries) {
        const size = sizes[waiting.next] as number;
        if (entries > 0 && bytes + size > limit.bytes) break;
        slice.entries.push({
          kind: (typeof kinds === 'string' ? kinds : kinds[waiting.next]) as Staged['kind'],
          extra: extras?.[waiting.next],
          body: bodies.subarray(waiting.offset, waiting.offset + size),
        });
        waiting.next += 1;
        waiting.offset += size;
        entries += 1;
        bytes += size;
      }
      const count = slice.entries.length - first;
      if (count > 0) slice.parts.push({ id, first, count });
      if (waiting.next < sizes.length) break;
      finished += 1;
      const shared = queue[finished]?.message.bodies.buffer === bodies.buffer;
      if (!shared && bodies.buffer.byteLength >= RETURNED_BYTES) slice.spent.push(bodies.buffer);
    }
    queue.splice(0, finished);
  }
}
