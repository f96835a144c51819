// Bloom filters over blocks of entries: they say which blocks cannot hold a value, at about ten bits a value, where a B-tree
// entry for a random id would cost twenty bytes and a page written for every insert.

/** Two independent 32-bit hashes of a key; the positions of its bits are derived from both. */
export interface KeyHash {
  readonly a: number;
  readonly b: number;
}

const BITS_PER_KEY = 10;
/** Optimal for ten bits a key: about 0.8 % false positives. */
const PROBES = 7;

/** Hashes a key, maybe in parts (cyrb53's mixing). Not secret: who crafts collisions makes a query scan blocks in vain, no more. */
export function hashKey(key: string, rest = ''): KeyHash {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  for (let i = 0; i < rest.length; i++) {
    const code = rest.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return { a: a >>> 0, b: (b >>> 0) | 1 };
}

/** Keys, collected for one filter after the other, in memory that grows and is used again: as objects they would burden the garbage collector. */
export class BloomKeys {
  #halves = new Uint32Array(4096);
  #length = 0;

  add({ a, b }: KeyHash): void {
    if (this.#length === this.#halves.length) {
      const grown = new Uint32Array(this.#length * 2);
      grown.set(this.#halves);
      this.#halves = grown;
    }
    this.#halves[this.#length++] = a;
    this.#halves[this.#length++] = b;
  }

  clear(): void {
    this.#length = 0;
  }

  /** The filter that holds these keys and, now and then, seems to hold another. */
  filter(): Buffer {
    const bits = Buffer.alloc(Math.max(8, Math.ceil((this.#length * BITS_PER_KEY) / 2 / 8)));
    const size = bits.length * 8;
    for (let at = 0; at < this.#length; at += 2) {
      let position = this.#halves[at] as number;
      const step = this.#halves[at + 1] as number;
      for (let probe = 0; probe < PROBES; probe++) {
        const bit = position % size;
        bits[bit >>> 3] = (bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
        position = (position + step) >>> 0;
      }
    }
    return bits;
  }
}

/** False when the filter certainly does not hold the key. */
export function mayHold(bits: Uint8Array, key: KeyHash): boolean {
  const size = bits.length * 8;
  let position = key.a;
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = position % size;
    if (((bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
    position = (position + key.b) >>> 0;
  }
  return true;
}
