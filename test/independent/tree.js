// RFC 6962, section 2.1: the Merkle tree over leaf hashes.
import { createHash } from 'node:crypto';
export const sha256 = (...parts) => {
    const hash = createHash('sha256');
    for (const part of parts)
        hash.update(part);
    return hash.digest();
};
export class Tree {
    size;
    /** Roots of the complete subtrees, largest first: one for each bit that is set in `size`. */
    #roots;
    constructor(size = 0, roots = []) {
        this.size = size;
        this.#roots = [...roots];
    }
    /** A tree that goes on from this one. */
    with(leafHashes) {
        const tree = new Tree(this.size, this.#roots);
        for (const hash of leafHashes)
            tree.append(hash);
        return tree;
    }
    append(leafHash) {
        let hash = leafHash;
        for (let bits = this.size; bits % 2 === 1; bits = (bits - 1) / 2)
            hash = node(this.#roots.pop(), hash);
        this.#roots.push(hash);
        this.size++;
    }
    root() {
        return this.#roots.length === 0 ? sha256() : this.#roots.reduceRight((right, left) => node(left, right));
    }
}
function node(left, right) {
    if (left === undefined)
        throw new Error('a set bit without a subtree');
    return sha256(Buffer.of(1), left, right);
}
