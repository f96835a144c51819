import { parseLeaf } from './leaf.js';
import { sha256, Tree } from './tree.js';
/** After so many roots that did not fit, the next ones are not tried any more. */
const MAX_FAILED = 100;
const UNTOLD = 'and no root tells more';
/** Follows the leaves: their form, their chain, and the root wherever a checkpoint says what it is. */
export class Chain {
    size = 0;
    /** Kind of entry 0. */
    kind;
    /** Kind of the last entry. */
    lastKind;
    /** Of the entries that a fitting root settled. */
    #tree = new Tree();
    #lastHash = Buffer.alloc(32);
    /** The entries after those, from `#from` on. */
    #items = [];
    #from = 0;
    #outsideFits = 0;
    #failed = 0;
    #lost = false;
    #expected;
    #report;
    constructor(expected, report) {
        this.#expected = expected.toSorted((a, b) => a.size - b.size);
        this.#report = report;
    }
    /** Rows are missing before `seq`. */
    skip(seq) {
        this.#report('tampered', 'the leaf is missing', this.size, seq - 1);
        if (seq - this.size <= 1000) {
            while (this.size < seq)
                this.#push({});
            return;
        }
        this.#judge(this.#items, UNTOLD);
        this.#lost = true;
        this.#items = [{}];
        this.#from = seq - 1;
        this.size = seq;
    }
    append(bytes) {
        const leaf = parseLeaf(bytes);
        if (this.size === 0)
            this.kind = leaf?.kind;
        this.lastKind = leaf?.kind;
        this.#push({ hash: sha256(Buffer.of(0), bytes), leaf });
        return leaf;
    }
    #push(item) {
        this.#items.push(item);
        this.size++;
        // One entry late: `prev` of the next one says what the last one was.
        this.#settle(this.size - 1);
    }
    /** Compares the checkpoints of up to `size` entries. */
    #settle(size) {
        for (let next = this.#expected[0]; next !== undefined && next.size <= size; next = this.#expected[0]) {
            this.#expected.shift();
            if (!this.#lost)
                this.#compare(next);
        }
    }
    #compare({ size, root, outside }) {
        const count = size - this.#tree.size;
        const items = this.#items.slice(0, count);
        const { hashes, changed } = suppose(items, this.#items[count], this.#tree.size);
        const asTheyAre = items.flatMap((item) => item.hash ?? []);
        const candidates = [
            [asTheyAre, []],
            [hashes, changed],
        ];
        for (const [candidate, others] of candidates) {
            if (candidate.length !== count)
                continue;
            const tree = this.#tree.with(candidate);
            if (!tree.root().equals(root))
                continue;
            for (const seq of others)
                this.#report('tampered', 'the leaf is not the one under the signed root', seq, seq);
            const signed = items.map((item, i) => (others.includes(this.#tree.size + i) ? {} : item));
            this.#judge(signed, 'although it is signed');
            this.#tree = tree;
            this.#lastHash = candidate.at(-1) ?? this.#lastHash;
            this.#items = this.#items.slice(count);
            this.#from = size;
            this.#failed = 0;
            if (outside)
                this.#outsideFits = size;
            return;
        }
        if (outside) {
            this.#report('tampered', 'a checkpoint from outside is of another history', this.#outsideFits, size - 1);
        }
        else if (this.#failed++ === 0) {
            this.#report('tampered', 'the root is not the checkpoint’s', this.#tree.size, size - 1);
        }
        this.#lost = this.#failed > MAX_FAILED;
    }
    /** What form and chain alone say of entries, the first of which comes after the settled ones. */
    #judge(items, how) {
        const base = this.#from;
        const broken = items.map(({ leaf }, i) => {
            const before = i === 0 ? this.#lastHash : items[i - 1]?.hash;
            return leaf !== undefined && before !== undefined && leaf.prev !== before.toString('hex');
        });
        let shift = 0;
        for (const [i, { hash, leaf }] of items.entries()) {
            const seq = base + i;
            if (hash === undefined)
                continue;
            if (leaf === undefined)
                this.#report('tampered', `the leaf is malformed, ${how}`, seq, seq);
            else if (leaf.seq !== seq && leaf.seq - seq !== shift) {
                this.#report('tampered', `the leaf of entry ${leaf.seq} is in this place, ${how}`, seq, seq);
            }
            else if (broken[i] && !broken[i - 1] && items[i - 1]?.leaf?.seq !== undefined) {
                const exact = broken[i + 1] ? seq : seq - 1;
                this.#report('tampered', `prev is not the leaf before, ${how}`, exact, seq);
            }
            else if (broken[i] && i === 0)
                this.#report('tampered', `prev is not the leaf before, ${how}`, seq, seq);
            shift = leaf === undefined ? shift : leaf.seq - seq;
        }
    }
    finish() {
        this.#settle(this.size);
        this.#judge(this.#items, UNTOLD);
        const last = this.#expected.at(-1);
        if (last === undefined)
            return;
        const who = last.outside ? 'a checkpoint from outside' : 'a checkpoint';
        this.#report('incomplete', `${who} covers entries that are missing at the end`, this.size, last.size - 1);
    }
}
/**
 * What the log had, going by what the later entries say of the earlier: `prev` of a leaf that is itself beyond doubt is the
 * hash of the one before. `hashes` is shorter than `items` when that of a missing one cannot be told.
 */
function suppose(items, after, base) {
    const hashes = [];
    const changed = [];
    let witness = after?.leaf;
    for (let i = items.length - 1; i >= 0; i--) {
        const { hash, leaf } = items[i] ?? {};
        const said = witness?.seq === base + i + 1 ? Buffer.from(witness.prev, 'hex') : hash;
        const same = said !== undefined && hash?.equals(said) === true;
        if (said !== undefined)
            hashes.push(said);
        if (hash !== undefined && !same)
            changed.push(base + i);
        witness = same ? leaf : undefined;
    }
    return { hashes: hashes.reverse(), changed: changed.reverse() };
}
