// The decisions that were indexed last, so that an event's claim about one can be checked without asking the ledger: an event follows
// its decision within seconds. A ring, and not a Map: that is slow to find its oldest key when they go one by one.
import { leafHashHex, parseLeafText } from '../ledger/leaf.ts';
import type { Decided } from './links.ts';

const MOST = 16_384;

export class RecentDecisions {
  readonly #leaves: string[] = new Array<string>(MOST);
  /** Rises from each to the next; they stand where their number modulo MOST says. */
  readonly #positions = new Float64Array(MOST);
  #count = 0;

  /** Those of smaller `pos` came before. */
  add(pos: number, leafText: string): void {
    const slot = this.#count++ % MOST;
    this.#leaves[slot] = leafText;
    this.#positions[slot] = pos;
  }

  /** Parsed and hashed only now: most are never asked for. */
  get(pos: number): Decided | undefined {
    let low = Math.max(0, this.#count - MOST);
    for (let high = this.#count; low < high; ) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#positions[middle % MOST] as number) < pos) low = middle + 1;
      else high = middle;
    }
    const slot = low % MOST;
    if (low === this.#count || this.#positions[slot] !== pos) return undefined;
    const leaf = this.#leaves[slot] as string;
    return { leafHash: leafHashHex(Buffer.from(leaf, 'latin1')), uid: parseLeafText(leaf).uid ?? '' };
  }

  clear(): void {
    this.#count = 0;
  }
}
