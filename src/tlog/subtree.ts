// How a range of leaves splits into complete subtrees, whose hashes never change again and so can be stored. Sizes and
// indexes go up to 2^53−1: all arithmetic is on doubles, no 32-bit operators.
import { TlogError } from './errors.ts';
import { emptyRoot, nodeHash, requireSize } from './merkle.ts';

/** The complete subtree over leaves `index·2^level` … `(index+1)·2^level − 1`; level 0 is a leaf. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** Returns the hash (32 bytes) of a complete subtree. */
export type NodeReader = (level: number, index: number) => Uint8Array;

/**
 * The fewest complete subtrees that cover leaves begin … end−1, from left to right. For begin = 0 they get smaller from
 * left to right, one for each bit that is set in `end`: what a CompactRange of that size holds.
 */
export function subtreesOf(begin: number, end: number): Subtree[] {
  requireSize(begin);
  requireSize(end);
  if (begin > end) throw new TlogError('ARGUMENT_INVALID', `a range cannot begin at ${begin} and end at ${end}`);
  const subtrees: Subtree[] = [];
  let at = begin;
  while (at < end) {
    let level = 0;
    let width = 1;
    while (at % (2 * width) === 0 && 2 * width <= end - at) {
      level += 1;
      width *= 2;
    }
    subtrees.push({ level, index: at / width });
    at += width;
  }
  return subtrees;
}

/**
 * The RFC 6962 §2.1 tree hash of leaves begin … end−1, from the hashes of complete subtrees. For a range that is not a
 * prefix this is a node of the tree only where RFC 6962 splits: begin a multiple of the power of two that the range fits in.
 */
export function rangeRoot(begin: number, end: number, node: NodeReader): Buffer {
  return foldHashes(subtreesOf(begin, end).map(({ level, index }) => node(level, index)));
}

/** The root over the hashes of a decomposition, given from left to right: combined from the right, as RFC 6962 §2.1 splits. */
export function foldHashes(hashes: readonly Uint8Array[]): Buffer {
  const last = hashes.at(-1);
  if (last === undefined) return emptyRoot();
  let root: Buffer = Buffer.from(last);
  for (let i = hashes.length - 2; i >= 0; i--) root = nodeHash(hashes[i] as Uint8Array, root);
  return root;
}

/** The largest power of two smaller than `n`, where RFC 6962 §2.1 splits a tree of n > 1 leaves. */
export function splitPoint(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}
