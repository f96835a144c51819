// Verifies one shard: walks its leaves once, in order, and at each place decides from the leaf's own seq, the chain and the
// row after it whether the entry is whole, changed, missing, inserted or moved. Tree and bodies are walked beside it.
import { NO_PREVIOUS } from './entry.ts';
import { BodyWalk } from './verify-bodies.ts';
import { CheckpointWalk, type OutsideCheckpoint } from './verify-checkpoints.ts';
import type { LeafRow, ShardBounds, ShardFile } from './verify-file.ts';
import { leafHashOf, type ReadLeaf, readLeaf } from './verify-leaf.ts';
import type { ShardBegin } from './verify-link.ts';
import type { NoteJudge } from './verify-note.ts';
import type { Commitment } from './verify-pack.ts';
import { entriesText, type FindingCode, type Findings, type ShardReport } from './verify-report.ts';
import { Suspect } from './verify-tree.ts';

export interface ShardOptions {
  readonly judge: NoteJudge;
  readonly findings: Findings;
  readonly outside: readonly OutsideCheckpoint[];
  /** Only bodies of entries in [from, to] are checked. */
  readonly from: number;
  readonly to: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onBegin: (begin: ShardBegin) => void;
}

/** A row of `leaf`, read. */
interface Item {
  readonly row: number;
  /** Undefined when the bytes are not a leaf. */
  readonly leaf: ReadLeaf | undefined;
  /** Undefined when the row holds nothing that can be hashed. */
  readonly hash: string | undefined;
}

/** An entry that was read, held back until the next row was seen. */
interface Waiting {
  readonly leaf: string | Suspect;
  readonly commitment: Commitment | undefined | 'missing';
}

/** A place where `prev` of entry `seq` is not the hash of the entry before it. */
interface Break {
  readonly seq: number;
}

/** Hashes remembered to recognise entries inserted into the chain. */
const RING = 256;
const MAX_OPEN = 64;
const PROGRESS_EVERY = 16_384;

/** Verifies the shard up to `bounds`. Reports into options.findings. */
export function verifyShard(shard: number, file: ShardFile, bounds: ShardBounds, options: ShardOptions): ShardReport {
  return new ShardWalk(shard, file, bounds, options).run();
}

class ShardWalk {
  readonly #shard: number;
  readonly #file: ShardFile;
  readonly #bounds: ShardBounds;
  readonly #findings: Findings;
  readonly #onBegin: (begin: ShardBegin) => void;
  readonly #onProgress: ((done: number, total: number) => void) | undefined;
  readonly #bodies: BodyWalk;
  readonly #checkpoints: CheckpointWalk;
  /** Rows whose pages cannot be read, reported already. */
  readonly #damaged: { readonly from: number; readonly to: number }[] = [];

  /** Next entry. */
  #next = 0;
  /** Row number minus entry number, since rows were inserted or removed. */
  #shift = 0;
  /** Hash of entry #next − 1; undefined when it is not known. */
  #last: string | undefined = NO_PREVIOUS;
  /** Entry #next − 1 on its way into the tree and to its body: what comes after it may still put it in doubt. */
  #waiting: Waiting | undefined;
  /** Hash of entry i at i % RING, for the last RING entries. */
  readonly #ring: (string | undefined)[] = [];
  /** Doubts since the last checkpoint that fitted. */
  #open: Suspect[] = [];
  #breaks: Break[] = [];
  /** First and last break beyond those that are listed, and how many there are. */
  #moreFrom = 0;
  #moreTo = 0;
  #more = 0;
  readonly #misplaced = new Map<number, string>();
  #signedSeen = 0;
  #firstKind: string | undefined;
  #lastKind: string | undefined;
  #firstTime: string | undefined;
  #lastTime: string | undefined;

  constructor(shard: number, file: ShardFile, bounds: ShardBounds, options: ShardOptions) {
    const { judge, findings, outside, from, to } = options;
    this.#shard = shard;
    this.#file = file;
    this.#bounds = bounds;
    this.#findings = findings;
    this.#onBegin = options.onBegin;
    this.#onProgress = options.onProgress;
    this.#bodies = new BodyWalk(shard, file, bounds.packed, findings, from, to);
    this.#checkpoints = new CheckpointWalk(shard, file, bounds.checkpoint + 1, judge, outside, findings);
  }

  run(): ShardReport {
    const rows = this.#file.leaves(this.#bounds.leaves, (from, to, why) => {
      this.#damaged.push({ from, to });
      this.#report('database-damaged', from, to, `the rows of ${entriesText(from, to)} cannot be read: ${why}`);
    });
    let current: Item | undefined;
    let count = 0;
    for (const row of rows) {
      const next = read(row);
      if (current !== undefined) this.#step(current, next);
      current = next;
      count += 1;
      if (count % PROGRESS_EVERY === 0) this.#onProgress?.(count, this.#bounds.leaves);
    }
    if (current !== undefined) this.#step(current, undefined);
    const damagedTail = (this.#damaged.at(-1)?.to ?? -1) + 1 - this.#shift;
    if (damagedTail > this.#next) this.#missing(damagedTail - this.#next, undefined);
    this.#flush();
    this.#bodies.finish(this.#next);
    this.#decideOpen();
    this.#checkpoints.finish(this.#next, this.#bounds.packed);
    this.#onProgress?.(this.#bounds.leaves, this.#bounds.leaves);
    return this.#summary();
  }

  #report(code: FindingCode, from: number, to: number, message: string): void {
    this.#findings.add({ code, shard: this.#shard, from, to, message });
  }

  #step(item: Item, after: Item | undefined): void {
    if (item.row > this.#next + this.#shift) this.#gap(item);
    const { leaf } = item;
    if (leaf?.seq === this.#next) {
      if (leaf.prev === this.#last || this.#last === undefined) {
        if (this.#last === undefined) this.#claim(leaf.prev);
        this.#accept(item);
      } else if (!this.#inserted(item, after)) {
        this.#broken(leaf);
        this.#accept(item, true);
      }
      return;
    }
    if (this.#inserted(item, after)) return;
    if (leaf !== undefined && leaf.seq < this.#next && this.#rewound(item, leaf, after)) return;
    if (leaf !== undefined && leaf.seq > this.#next && this.#skipped(item, leaf, after)) return;
    const problem = leaf === undefined ? 'is not a leaf of the format' : `is the leaf of entry ${leaf.seq}`;
    if (leaf !== undefined && item.hash !== undefined && this.#misplaced.size < MAX_OPEN) {
      this.#misplaced.set(leaf.seq, item.hash);
      for (const suspect of this.#open) if (suspect.seq === leaf.seq) suspect.claim(item.hash);
    }
    this.#accept(item, true, problem);
  }

  /** The row after this one goes on exactly where the row before left off: this one does not belong here. */
  #inserted(item: Item, after: Item | undefined): boolean {
    if (after?.leaf === undefined || after.leaf.seq !== this.#next || after.leaf.prev !== this.#last) return false;
    // Unless the two only changed places.
    if (item.leaf?.seq === this.#next + 1 && item.leaf.prev === after.hash) return false;
    const message = `row ${item.row} was inserted: the row after it continues the one before it`;
    this.#report('entry-inserted', item.row, item.row, message);
    this.#shift += 1;
    return true;
  }

  /** Row numbers leave some out: entries were deleted, or only the numbers were changed. */
  #gap(item: Item): void {
    const from = this.#next + this.#shift;
    const count = item.row - from;
    const { leaf } = item;
    if (leaf?.seq === this.#next && leaf.prev === this.#last) {
      this.#report(
        'entry-moved',
        item.row,
        item.row,
        `entry ${this.#next} is in row ${item.row}: rows were renumbered`,
      );
      this.#shift += count;
      return;
    }
    const damaged = this.#damaged.some((range) => range.from < item.row && range.to >= from);
    if (!damaged) this.#deleted(this.#next, this.#next + count - 1);
    this.#missing(count, leaf?.seq === this.#next + count ? leaf.prev : undefined);
  }

  #deleted(from: number, to: number): void {
    if (from === 0) this.#report('head-missing', from, to, `${entriesText(from, to)}, the shard's first, were deleted`);
    else this.#report('entry-deleted', from, to, `${entriesText(from, to)} ${from === to ? 'was' : 'were'} deleted`);
  }

  /** Passes over `count` entries that are not there. `claim` is the hash of the last of them as its successor says it. */
  #missing(count: number, claim: string | undefined): void {
    const from = this.#next;
    const end = from + count;
    this.#flush();
    if (count === 1) {
      this.#waiting = { leaf: this.#doubt(from, undefined), commitment: 'missing' };
      if (claim !== undefined) this.#claim(claim);
    } else {
      this.#checkpoints.tree.lose();
      this.#bodies.addMissing(from, end);
    }
    for (let at = Math.max(from, end - RING); at < end; at++) this.#ring[at % RING] = undefined;
    this.#ring[(end - 1) % RING] = claim;
    this.#last = claim;
    this.#next = end;
  }

  /** A leaf of an earlier entry: when it continues the chain from there, what lies between was inserted. */
  #rewound(item: Item, leaf: ReadLeaf, after: Item | undefined): boolean {
    const count = this.#next - leaf.seq;
    const before = leaf.seq === 0 ? NO_PREVIOUS : this.#ring[(leaf.seq - 1) % RING];
    const chained = count < RING && before === leaf.prev;
    const goesOn = after?.leaf === undefined || (after.leaf.seq === leaf.seq + 1 && after.leaf.prev === item.hash);
    if (!goesOn || (!chained && after === undefined)) return false;
    const from = leaf.seq + this.#shift;
    const to = item.row - 1;
    const rows = from === to ? `row ${from} was` : `rows ${from} to ${to} were`;
    this.#report('entry-inserted', from, to, `${rows} inserted: row ${item.row} goes on with entry ${leaf.seq}`);
    this.#shift += count;
    if (count > 1) {
      this.#checkpoints.tree.lose();
      this.#bodies.rewind(count - 1);
    }
    this.#waiting = undefined;
    this.#next = leaf.seq;
    this.#last = before;
    this.#accept(item);
    return true;
  }

  /** A leaf of a later entry, from which the chain goes on: those between were deleted and the rows renumbered. */
  #skipped(item: Item, leaf: ReadLeaf, after: Item | undefined): boolean {
    const goesOn =
      after === undefined
        ? leaf.prev !== this.#last
        : after.leaf !== undefined && after.leaf.seq === leaf.seq + 1 && after.leaf.prev === item.hash;
    if (!goesOn) return false;
    const count = leaf.seq - this.#next;
    this.#deleted(this.#next, leaf.seq - 1);
    this.#shift -= count;
    this.#missing(count, leaf.prev);
    this.#accept(item);
    return true;
  }

  /** Takes the row as entry #next. */
  #accept(item: Item, doubtful = false, problem?: string): void {
    const seq = this.#next;
    const { leaf, hash } = item;
    this.#flush();
    const own = leaf?.seq === seq;
    const entry = doubtful || hash === undefined ? this.#doubt(seq, hash, problem) : hash;
    this.#waiting = { leaf: entry, commitment: own ? leaf : undefined };
    if (own) {
      this.#firstTime ??= leaf.time;
      this.#lastTime = leaf.time;
      this.#lastKind = leaf.kind;
      if (seq === 0) this.#firstKind = leaf.kind;
    }
    this.#ring[seq % RING] = hash;
    this.#last = hash;
    this.#next = seq + 1;
  }

  /** `prev` of the entry to come is not the hash of the one before: one of the two was changed. */
  #broken(leaf: ReadLeaf): void {
    if (this.#breaks.length < MAX_OPEN) {
      this.#breaks.push({ seq: leaf.seq });
    } else {
      if (this.#more === 0) this.#moreFrom = leaf.seq;
      this.#moreTo = leaf.seq;
      this.#more += 1;
    }
    this.#claim(leaf.prev);
  }

  /** The entry to come says that this is the hash of the one before it. */
  #claim(prev: string): void {
    if (this.#waiting === undefined) return;
    const { leaf, commitment } = this.#waiting;
    const suspect = typeof leaf === 'string' ? this.#doubt(this.#next - 1, leaf) : leaf;
    suspect.claim(prev);
    this.#waiting = { leaf: suspect, commitment };
  }

  #doubt(seq: number, own: string | undefined, problem?: string): Suspect {
    const suspect = new Suspect(seq, own, problem);
    const elsewhere = this.#misplaced.get(seq);
    if (elsewhere !== undefined) suspect.claim(elsewhere);
    if (this.#open.length < MAX_OPEN) this.#open.push(suspect);
    return suspect;
  }

  /** Puts the waiting entry into the tree and holds the tree against the checkpoints of its size. */
  #flush(): void {
    const { tree } = this.#checkpoints;
    if (this.#waiting !== undefined) {
      tree.push(this.#waiting.leaf);
      this.#bodies.add(this.#next - 1, this.#waiting.commitment);
      this.#waiting = undefined;
    }
    if (!this.#checkpoints.due(this.#next)) return;
    this.#checkpoints.check(this.#next);
    if (this.#checkpoints.signedSize > this.#signedSeen) {
      this.#signedSeen = this.#checkpoints.signedSize;
      this.#decideBreaks(this.#signedSeen);
    }
  }

  /** A root fitted: the suspects below `size` were reported by name. What remains is a break that the log itself signed. */
  #decideBreaks(size: number): void {
    const changed = new Set(this.#open.filter((one) => one.seq < size && one.own !== one.truth).map((one) => one.seq));
    const left = this.#breaks.filter(({ seq }) => !changed.has(seq) && !changed.has(seq - 1));
    this.#open = this.#open.filter((suspect) => suspect.seq >= size);
    this.#breaks = left.filter(({ seq }) => seq >= size);
    this.#more = 0;
    for (const { seq } of left) {
      if (seq >= size) continue;
      const message = `prev of entry ${seq} is not the hash of entry ${seq - 1}, although the log signed both`;
      this.#report('chain-broken', seq - 1, seq, message);
    }
  }

  /** No root decides any more: says as much as the chain alone tells. */
  #decideOpen(): void {
    const broken = new Set(this.#breaks.map(({ seq }) => seq));
    for (const { seq, problem } of this.#open) {
      if (problem === undefined) continue;
      const code = problem.startsWith('is the leaf') ? 'entry-moved' : 'leaf-changed';
      this.#report(code, seq, seq, `entry ${seq} ${problem}`);
      broken.delete(seq + 1);
    }
    for (const seq of broken) {
      if (broken.has(seq - 1)) continue;
      if (seq === this.#signedSeen) {
        const message = `the leaf of entry ${seq} was changed: its prev is not the hash of entry ${seq - 1}, which is signed`;
        this.#report('leaf-changed', seq, seq, message);
        continue;
      }
      if (broken.has(seq + 1)) {
        const message = `the leaf of entry ${seq} was changed: the chain breaks before it and after it`;
        this.#report('leaf-changed', seq, seq, message);
        continue;
      }
      const message = `the chain breaks between entries ${seq - 1} and ${seq}: the earlier one was changed, or the later one and what follows was made anew`;
      this.#report('chain-broken', seq - 1, seq, message);
    }
    if (this.#more > 0) {
      const message = `the chain breaks in ${this.#more} more places among ${entriesText(this.#moreFrom - 1, this.#moreTo)}`;
      this.#report('chain-broken', this.#moreFrom - 1, this.#moreTo, message);
    }
  }

  #summary(): ShardReport {
    const { origin, key, vkey, root, read: checkpoints, matched, signedSize } = this.#checkpoints;
    const shard = this.#shard;
    const findings = this.#findings;
    if (checkpoints === 0) {
      findings.add({
        code: 'checkpoint-missing',
        shard,
        message: 'the shard holds no checkpoint, although every shard is created with one: no signature vouches for it',
      });
    }
    if (this.#bounds.foreign > 0) {
      const message = `${this.#bounds.foreign} rows have numbers that no entry can have`;
      findings.add({ code: 'entry-inserted', shard, message });
    }
    const begin = shard === 0 ? 'start' : 'link';
    if (this.#firstKind !== undefined && this.#firstKind !== begin) {
      this.#report('start-mismatch', 0, 0, `entry 0 of shard ${shard} is of kind ${this.#firstKind}, not ${begin}`);
    }
    const removals = this.#bodies.removals.filter(({ seq }) => seq < signedSize);
    this.#onBegin({ kind: this.#firstKind, body: this.#bodies.firstBody, lastKind: this.#lastKind, removals });
    this.#checkStart(origin);
    this.#checkMeta(origin);
    return {
      shard,
      ...(origin === undefined ? {} : { origin }),
      entries: this.#next,
      bodies: this.#bodies.checked,
      checkpoints,
      matched,
      signed: signedSize,
      unsignedTail: Math.max(0, this.#next - signedSize),
      ...(this.#firstTime === undefined ? {} : { firstTime: this.#firstTime }),
      ...(this.#lastTime === undefined ? {} : { lastTime: this.#lastTime }),
      ...(key === undefined ? {} : { key }),
      ...(vkey === undefined ? {} : { vkey }),
      ...(root === undefined ? {} : { root: Buffer.from(root, 'hex').toString('base64') }),
    };
  }

  /** The `start` or `link` entry says which log it begins; it is part of the signed history, unlike the file's name. */
  #checkStart(origin: string | undefined): void {
    const body = this.#bodies.firstBody;
    const kind = this.#firstKind;
    if (body === undefined || (kind !== 'start' && kind !== 'link') || origin === undefined) return;
    let said: unknown;
    try {
      const parsed: unknown = JSON.parse(body.toString());
      if (typeof parsed === 'object' && parsed !== null && 'origin' in parsed) said = parsed.origin;
    } catch {
      // Reported below: a body that is not JSON names no origin.
    }
    if (said === origin) return;
    const name = typeof said === 'string' ? said.slice(0, 300) : 'none';
    this.#report('start-mismatch', 0, 0, `the ${kind} entry is of origin ${name}, the checkpoints are of ${origin}`);
  }

  /** `meta` vouches for nothing, but nobody honest changes it. */
  #checkMeta(origin: string | undefined): void {
    const meta = this.#file.meta();
    const shard = meta.get('shard');
    const said = meta.get('origin');
    if (shard === String(this.#shard) && (origin === undefined || said === origin)) return;
    const message = `table meta says shard ${shard ?? 'none'} of origin ${said ?? 'none'}, the file and its checkpoints say otherwise`;
    this.#findings.add({ code: 'meta-changed', shard: this.#shard, message });
  }
}

function read({ row, leaf }: LeafRow): Item {
  if (leaf === undefined) return { row, leaf: undefined, hash: undefined };
  const text = typeof leaf === 'string' ? leaf : leaf.toString('latin1');
  return { row, leaf: readLeaf(text), hash: leafHashOf(leaf) };
}
