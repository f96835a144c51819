// The RFC 6962 tree over the leaves, kept as its O(log n) frontier, in which a leaf under suspicion stays open: several
// hashes are tried for it against a signed root. A match proves which of them the log had, so that a changed leaf is named
// with certainty and the entries after it can still be checked.
import { hash } from 'node:crypto';

/** A leaf whose bytes may not be what the log signed, with every hash that the evidence offers for it. */
export class Suspect {
  readonly seq: number;
  /** Hash of the bytes that are there; undefined when the row is missing. */
  readonly own: string | undefined;
  /** What is wrong with the bytes themselves, when something is: "is not a leaf", "is the leaf of entry 8". */
  readonly problem: string | undefined;
  /** What the next entry's `prev`, or a misplaced leaf, says the hash is. */
  readonly claims: string[] = [];
  /** Set by a successful resolve(). */
  truth: string | undefined;

  constructor(seq: number, own: string | undefined, problem?: string) {
    this.seq = seq;
    this.own = own;
    this.problem = problem;
  }

  claim(hashHex: string): void {
    if (this.claims.length < 4 && !this.claims.includes(hashHex) && hashHex !== this.own) this.claims.push(hashHex);
  }

  /** Candidates, the most probable first. */
  options(): string[] {
    return this.own === undefined ? [...this.claims] : [...this.claims, this.own];
  }
}

interface Pair {
  readonly left: Node;
  readonly right: Node;
}
/** A known hash in hex, or a part of the tree with a suspect in it. */
type Node = string | Suspect | Pair;

/** More open leaves than this between two checkpoints are not told apart. */
const MAX_SUSPECTS = 64;
/** Combinations tried for one checkpoint. */
const MAX_COMBINATIONS = 4096;
/** Combinations tried for one shard: a hostile file has as many checkpoints as it likes. */
const COMBINATIONS_IN_ALL = 100_000;

const scratch = Buffer.alloc(65);
scratch[0] = 1;

/** RFC 6962 hash of an inner node; hashes in hex. */
export function nodeHash(left: string, right: string): string {
  scratch.write(left, 1, 'hex');
  scratch.write(right, 33, 'hex');
  return hash('sha256', scratch, 'hex');
}

const EMPTY_ROOT = hash('sha256', '', 'hex');

/** The tree so far. */
export class OpenTree {
  #nodes: Node[] = [];
  #sizes: number[] = [];
  #suspects: Suspect[] = [];
  #lost = false;
  #size = 0;
  #budget = COMBINATIONS_IN_ALL;

  /** Leaves pushed. */
  get size(): number {
    return this.#size;
  }

  /** Whether so much is unknown that no root can be computed any more. */
  get lost(): boolean {
    return this.#lost;
  }

  get suspects(): readonly Suspect[] {
    return this.#suspects;
  }

  /** Gives up on roots: leaves are missing whose hashes nothing tells. */
  lose(): void {
    this.#lost = true;
    this.#nodes = [];
    this.#sizes = [];
    this.#suspects = [];
  }

  push(leaf: string | Suspect): void {
    this.#size += 1;
    if (this.#lost) return;
    if (typeof leaf !== 'string') {
      if (this.#suspects.length >= MAX_SUSPECTS) {
        this.lose();
        return;
      }
      this.#suspects.push(leaf);
    }
    let node: Node = leaf;
    let size = 1;
    while (this.#sizes.at(-1) === size) {
      const left = this.#nodes.pop() ?? '';
      this.#sizes.pop();
      node = join(left, node);
      size *= 2;
    }
    this.#nodes.push(node);
    this.#sizes.push(size);
  }

  /**
   * Whether the tree can have this root (hex). On success every suspect knows its truth, and the tree goes on from there
   * without suspects.
   */
  resolve(root: string): boolean {
    if (this.#lost) return false;
    const node = this.#root();
    if (typeof node === 'string') return node === root;
    for (const choice of combinations(this.#suspects, this.#budget)) {
      this.#budget -= 1;
      if (evaluate(node, choice) !== root) continue;
      this.#nodes = this.#nodes.map((part) => evaluate(part, choice));
      for (const [suspect, truth] of choice) suspect.truth = truth;
      this.#suspects = [];
      return true;
    }
    return false;
  }

  #root(): Node {
    let node = this.#nodes.at(-1) ?? EMPTY_ROOT;
    for (let i = this.#nodes.length - 2; i >= 0; i--) node = join(this.#nodes[i] ?? '', node);
    return node;
  }
}

function join(left: Node, right: Node): Node {
  return typeof left === 'string' && typeof right === 'string' ? nodeHash(left, right) : { left, right };
}

type Choice = ReadonlyMap<Suspect, string>;

function evaluate(node: Node, choice: Choice): string {
  if (typeof node === 'string') return node;
  if (node instanceof Suspect) return choice.get(node) ?? '';
  return nodeHash(evaluate(node.left, choice), evaluate(node.right, choice));
}

/** Every choice when there are few; else only those in which each break of the chain has the same kind of cause. */
function* combinations(suspects: readonly Suspect[], budget: number): Iterable<Choice> {
  const options = suspects.map((suspect) => suspect.options());
  let product = 1;
  for (const list of options) product = Math.min(product * list.length, MAX_COMBINATIONS + 1);
  if (product === 0) return;
  if (product > Math.min(MAX_COMBINATIONS, budget)) {
    for (const firstInnocent of [false, true]) {
      let before = Number.NaN;
      yield new Map(
        suspects.map((suspect, i) => {
          const first = suspect.seq !== before + 1;
          before = suspect.seq;
          const list = options[i] ?? [];
          return [suspect, (first && firstInnocent ? suspect.own : undefined) ?? list[0] ?? ''];
        }),
      );
    }
    return;
  }
  for (let n = 0; n < product; n++) {
    let rest = n;
    yield new Map(
      suspects.map((suspect, i) => {
        const list = options[i] ?? [];
        const pick = list[rest % list.length] ?? '';
        rest = Math.floor(rest / list.length);
        return [suspect, pick];
      }),
    );
  }
}
