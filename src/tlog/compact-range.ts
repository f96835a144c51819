// A Merkle tree that only grows, kept as the hashes of its complete subtrees: 32 bytes for each bit set in its size.
import { TlogError } from './errors.ts';
import { emptyRoot, HASH_BYTES, requireHash, requireSize, sha256Latin1 } from './merkle.ts';
import { foldHashes, subtreesOf } from './subtree.ts';

/** Called for each inner node (level ≥ 1) that an append completes, from the lowest up; `hash` is the callee's to keep. */
export type OnNode = (level: number, index: number, hash: Buffer) => void;

// The buffer holds the input of the node hash in progress (0x01 ‖ left ‖ right) and behind it the subtree hashes, the
// largest first: two neighbours are copied to the front in one move, and their hash takes the place of the left one.
const STACK = 1 + 2 * HASH_BYTES;
const MAX_SUBTREES = 53;

/**
 * The compact range [0, size). `append` costs one node hash on average and log2(size) at worst, and allocates nothing;
 * `root` costs one node hash for each bit set in the size.
 */
export class CompactRange {
  readonly #buffer = Buffer.alloc(STACK + (MAX_SUBTREES + 1) * HASH_BYTES);
  readonly #nodeInput = this.#buffer.subarray(0, STACK);
  #size = 0;
  /** First byte behind the last subtree hash. */
  #top = STACK;

  constructor() {
    this.#buffer[0] = 0x01;
  }

  /**
   * The tree of `size` leaves whose complete subtrees, as subtreesOf(0, size) lists them, have these hashes. Throws
   * ARGUMENT_INVALID when their number does not fit the size: the hashes themselves cannot be checked here.
   */
  static fromHashes(size: number, hashes: readonly Uint8Array[]): CompactRange {
    const expected = subtreesOf(0, size).length;
    if (hashes.length !== expected) {
      throw new TlogError(
        'ARGUMENT_INVALID',
        `a tree of ${size} leaves has ${expected} subtrees, not ${hashes.length}`,
      );
    }
    const range = new CompactRange();
    for (const hash of hashes) {
      requireHash(hash);
      range.#buffer.set(hash, range.#top);
      range.#top += HASH_BYTES;
    }
    range.#size = size;
    return range;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Adds the next leaf by its leaf hash. Throws ARGUMENT_INVALID unless it has 32 bytes, and changes nothing then. */
  append(leafHash: Uint8Array, onNode?: OnNode): void {
    requireHash(leafHash);
    requireSize(this.#size + 1);
    const buffer = this.#buffer;
    buffer.set(leafHash, this.#top);
    this.#top += HASH_BYTES;
    let level = 0;
    // Each trailing 1 bit of the old size is a complete subtree as large as the one just completed: the two become one.
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      level += 1;
      const left = this.#top - 2 * HASH_BYTES;
      buffer.copyWithin(1, left, this.#top);
      buffer.write(sha256Latin1(this.#nodeInput), left, HASH_BYTES, 'latin1');
      this.#top -= HASH_BYTES;
      onNode?.(level, (rest - 1) / 2, Buffer.from(buffer.subarray(left, this.#top)));
    }
    this.#size += 1;
  }

  /** The RFC 6962 root hash of the leaves so far, a new buffer. */
  root(): Buffer {
    return this.#size === 0 ? emptyRoot() : foldHashes(this.#views());
  }

  /** The hashes of the complete subtrees from left to right, copied: what fromHashes takes. */
  hashes(): Buffer[] {
    return this.#views().map((view) => Buffer.from(view));
  }

  /** An independent copy. */
  clone(): CompactRange {
    const range = new CompactRange();
    this.#buffer.copy(range.#buffer, STACK, STACK, this.#top);
    range.#size = this.#size;
    range.#top = this.#top;
    return range;
  }

  #views(): Buffer[] {
    const views: Buffer[] = [];
    for (let at = STACK; at < this.#top; at += HASH_BYTES) views.push(this.#buffer.subarray(at, at + HASH_BYTES));
    return views;
  }
}
