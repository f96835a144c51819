// Consistency proofs: that one tree is the beginning of another (RFC 6962 §2.1.2), made by the recursive definition and
// checked by the iterative algorithm of RFC 9162.
import { TlogError } from './errors.ts';
import { requireProofHash } from './inclusion.ts';
import { emptyRoot, nodeHash, requireHash, requireSize } from './merkle.ts';
import { type NodeReader, rangeRoot, splitPoint } from './subtree.ts';

/**
 * The proof that the tree of `first` leaves is the beginning of that of `second` leaves (RFC 6962 §2.1.2 PROOF). Empty
 * when the two sizes are equal, and, by convention, from the empty tree, which every tree begins with. Throws
 * ARGUMENT_INVALID when `first` is the larger.
 */
export function makeConsistencyProof(first: number, second: number, node: NodeReader): Buffer[] {
  requireSizes(first, second);
  if (first === 0) return [];
  const path: Buffer[] = [];
  let begin = 0;
  let end = second;
  // While the old tree is still a subtree of the new one that the checker knows the root of, its root needs no mention.
  let known = true;
  while (first !== end) {
    const split = begin + splitPoint(end - begin);
    if (first <= split) {
      path.push(rangeRoot(split, end, node));
      end = split;
    } else {
      path.push(rangeRoot(begin, split, node));
      begin = split;
      known = false;
    }
  }
  if (!known) path.push(rangeRoot(begin, end, node));
  return path.reverse();
}

/**
 * Checks that the tree of `first` leaves with root `firstRoot` is the beginning of the tree of `second` leaves with
 * `secondRoot` (RFC 9162 §2.1.4.2; the empty tree and equal sizes as makeConsistencyProof has them). Returns nothing
 * when it is; throws PROOF_MALFORMED, PROOF_INVALID, ARGUMENT_INVALID.
 */
export function checkConsistency(
  first: number,
  firstRoot: Uint8Array,
  second: number,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): void {
  requireSizes(first, second);
  requireHash(firstRoot);
  requireHash(secondRoot);
  if (first === 0 || first === second) {
    checkTrivial(first, firstRoot, second, secondRoot, proof);
    return;
  }
  const path = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined || proof.length === 0) throw new TlogError('PROOF_MALFORMED', 'the proof has no hashes');
  requireProofHash(start);
  let fn = first - 1;
  let sn = second - 1;
  while (fn % 2 === 1) {
    fn = (fn - 1) / 2;
    sn = Math.floor(sn / 2);
  }
  let fr: Buffer = Buffer.from(start);
  let sr: Buffer = Buffer.from(start);
  for (const hash of rest) {
    requireProofHash(hash);
    if (sn === 0)
      throw new TlogError('PROOF_MALFORMED', `the proof from ${first} to ${second} leaves has hashes too many`);
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(hash, fr);
      sr = nodeHash(hash, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      sr = nodeHash(sr, hash);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  if (sn !== 0)
    throw new TlogError('PROOF_MALFORMED', `the proof from ${first} to ${second} leaves has hashes too few`);
  if (!sameBytes(fr, firstRoot) || !sameBytes(sr, secondRoot)) throw invalid(first, second);
}

/** From the empty tree, and between equal sizes: nothing needs proof but the roots themselves. */
function checkTrivial(
  first: number,
  firstRoot: Uint8Array,
  second: number,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): void {
  if (proof.length > 0) {
    throw new TlogError(
      'PROOF_MALFORMED',
      `from ${first} to ${second} leaves the proof is empty, this one has ${proof.length} hashes`,
    );
  }
  if (first === 0 && !sameBytes(firstRoot, emptyRoot())) throw invalid(first, second);
  if (first === second && !sameBytes(firstRoot, secondRoot)) throw invalid(first, second);
}

function invalid(first: number, second: number): TlogError {
  return new TlogError(
    'PROOF_INVALID',
    `the tree of ${first} leaves is not shown to be the beginning of that of ${second}`,
  );
}

function isPowerOfTwo(n: number): boolean {
  return n === 1 || 2 * splitPoint(n) === n;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function requireSizes(first: number, second: number): void {
  requireSize(first);
  requireSize(second);
  if (first > second)
    throw new TlogError('ARGUMENT_INVALID', `a tree of ${first} leaves cannot be the beginning of one of ${second}`);
}
