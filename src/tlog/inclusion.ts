// Inclusion proofs: that a leaf is in a tree (RFC 6962 §2.1.1). Made by the recursive definition, checked by the
// iterative algorithm of RFC 9162, so that one would show a mistake in the other.
import { TlogError } from './errors.ts';
import { nodeHash, requireHash, requireSize } from './merkle.ts';
import { type NodeReader, rangeRoot, splitPoint } from './subtree.ts';

/**
 * The audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling up (RFC 6962 §2.1.1 PATH). `node`
 * is asked for O(log² size) complete subtrees. Throws ARGUMENT_INVALID when the leaf is not in the tree.
 */
export function makeInclusionProof(index: number, size: number, node: NodeReader): Buffer[] {
  requireLeaf(index, size);
  const path: Buffer[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const split = begin + splitPoint(end - begin);
    if (index < split) {
      path.push(rangeRoot(split, end, node));
      end = split;
    } else {
      path.push(rangeRoot(begin, split, node));
      begin = split;
    }
  }
  return path.reverse();
}

/** The number of hashes in the audit path of leaf `index` in a tree of `size` leaves. */
export function inclusionProofLength(index: number, size: number): number {
  requireLeaf(index, size);
  let length = 0;
  let last = size - 1;
  for (let at = index; last > 0; at = Math.floor(at / 2), last = Math.floor(last / 2)) {
    // The last node of a level has no sibling when it is a left one: it moves up as it is.
    if (at % 2 === 1 || at < last) length += 1;
  }
  return length;
}

/**
 * Checks that the leaf with hash `leaf` is the one at `index` in the tree of `size` leaves with root `root` (RFC 9162
 * §2.1.3.2). Returns nothing when it is; throws PROOF_MALFORMED when the proof has the wrong number of hashes or hashes
 * of the wrong length, PROOF_INVALID when it leads to another root, ARGUMENT_INVALID when the tree has no such leaf.
 */
export function checkInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  requireHash(root);
  if (!rootFromInclusion(index, size, leaf, proof).equals(root)) {
    throw new TlogError(
      'PROOF_INVALID',
      `the proof for leaf ${index} does not lead to the root of the tree of ${size} leaves`,
    );
  }
}

/** The root that an inclusion proof leads to. Throws as checkInclusion does, except PROOF_INVALID. */
export function rootFromInclusion(index: number, size: number, leaf: Uint8Array, proof: readonly Uint8Array[]): Buffer {
  requireHash(leaf);
  const expected = inclusionProofLength(index, size);
  if (proof.length !== expected) {
    throw new TlogError(
      'PROOF_MALFORMED',
      `leaf ${index} of ${size} needs ${expected} hashes, the proof has ${proof.length}`,
    );
  }
  let fn = index;
  let sn = size - 1;
  let hash: Buffer = Buffer.from(leaf);
  for (const sibling of proof) {
    requireProofHash(sibling);
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return hash;
}

/** Throws PROOF_MALFORMED unless `hash` has 32 bytes. */
export function requireProofHash(hash: Uint8Array): void {
  if (hash.length !== 32)
    throw new TlogError('PROOF_MALFORMED', `a hash of the proof has ${hash.length} bytes, not 32`);
}

function requireLeaf(index: number, size: number): void {
  requireSize(size);
  requireSize(index);
  if (index >= size) throw new TlogError('ARGUMENT_INVALID', `a tree of ${size} leaves has no leaf ${index}`);
}
