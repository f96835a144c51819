// RFC 6962 §2.1 and §2.1.1–2 word for word, recursive and slow: what the fast code is compared with.
import { createHash } from 'node:crypto';
export function sha256(...parts) {
    const hash = createHash('sha256');
    for (const part of parts)
        hash.update(part);
    return hash.digest();
}
/** MTH(D[begin:end]) over leaf hashes. */
export function naiveRoot(leaves) {
    if (leaves.length === 0)
        return sha256();
    if (leaves.length === 1)
        return Buffer.from(leaves[0]);
    const k = split(leaves.length);
    return sha256(Buffer.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}
/** PATH(m, D[n]). */
export function naivePath(m, leaves) {
    if (leaves.length === 1)
        return [];
    const k = split(leaves.length);
    return m < k
        ? [...naivePath(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
        : [...naivePath(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}
/** PROOF(m, D[n]). */
export function naiveConsistency(m, leaves, whole = true) {
    if (m === leaves.length)
        return whole ? [] : [naiveRoot(leaves)];
    const k = split(leaves.length);
    return m <= k
        ? [...naiveConsistency(m, leaves.slice(0, k), whole), naiveRoot(leaves.slice(k))]
        : [...naiveConsistency(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}
/** Reads nodes by hashing the leaves below them; throws for a subtree that is not complete, as a store would. */
export function nodesOf(leaves) {
    return (level, index) => {
        const below = leaves.slice(index * 2 ** level, (index + 1) * 2 ** level);
        if (below.length !== 2 ** level)
            throw new Error(`no complete subtree ${index} of level ${level} in ${leaves.length} leaves`);
        return naiveRoot(below);
    };
}
/** `count` different leaf hashes. */
export function someLeaves(count) {
    return Array.from({ length: count }, (_, i) => sha256(Buffer.of(0), Buffer.from(`leaf ${i}`)));
}
/** A tree, as large as wanted, whose leaves are all alike: a node depends on its level only. */
export function uniformNodes() {
    const levels = [sha256(Buffer.of(0), Buffer.from('alike'))];
    return (level) => {
        for (let i = levels.length; i <= level; i++)
            levels.push(sha256(Buffer.of(1), levels[i - 1], levels[i - 1]));
        return levels[level];
    };
}
function split(n) {
    let k = 1;
    while (k * 2 < n)
        k *= 2;
    return k;
}
/** The code of what `act` throws; fails when it throws nothing or something without a code. */
export function codeOf(act) {
    try {
        act();
    }
    catch (error) {
        const { code } = error;
        if (code === undefined)
            throw error;
        return code;
    }
    throw new Error('nothing was thrown');
}
