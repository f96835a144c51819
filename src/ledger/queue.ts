// What waits for the writer, in two lanes, and how much of it the next commit takes.
import type { Append } from './entry.ts';
import type { CommittedPart, Lane } from './messages.ts';

/** Entries of one append, in their order. */
export interface Waiting {
  readonly id: number;
  readonly lane: Lane;
  readonly entries: readonly Append[];
}

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
  readonly entries: Append[];
  /** Which entries belong to which append; `first` counts from the beginning of the slice. */
  readonly parts: CommittedPart[];
  /** How many of the entries are of the decision lane; they come first. */
  decisions: number;
}

interface Begun {
  readonly append: Waiting;
  /** The next entry to take. */
  next: number;
}

export class WriterQueue {
  readonly #lanes: Record<Lane, Begun[]> = { decision: [], audit: [] };
  /** Commits since one with decisions. */
  #calm = EXPECT_MORE;

  get empty(): boolean {
    return this.#lanes.decision.length === 0 && this.#lanes.audit.length === 0;
  }

  /** Appends in the decision lane. */
  get decisions(): number {
    return this.#lanes.decision.length;
  }

  push(append: Waiting): void {
    this.#lanes[append.lane].push({ append, next: 0 });
  }

  /** Takes what the next commit holds, decisions first. Entries of one append keep their order. */
  take(): Slice {
    const slice: Slice = { entries: [], parts: [], decisions: 0 };
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
      this.#lanes[lane] = this.#lanes[lane].filter(({ append }) => !ids.has(append.id));
    }
  }

  #takeFrom(lane: Lane, limit: Limit, slice: Slice): void {
    const queue = this.#lanes[lane];
    let count = 0;
    let bytes = 0;
    let finished = 0;
    while (finished < queue.length) {
      const begun = queue[finished] as Begun;
      const { id, entries } = begun.append;
      const first = slice.entries.length;
      while (begun.next < entries.length && count < limit.entries) {
        const entry = entries[begun.next] as Append;
        const { length } = entry.body;
        if (count > 0 && bytes + length > limit.bytes) break;
        slice.entries.push(entry);
        begun.next += 1;
        count += 1;
        bytes += length;
      }
      const taken = slice.entries.length - first;
      if (taken > 0) slice.parts.push({ id, first, count: taken });
      if (begun.next < entries.length) break;
      finished += 1;
    }
    queue.splice(0, finished);
  }
}
