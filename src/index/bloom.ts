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

/** The filter that holds these keys and, now and then, seems to hold another. */
export function buildBloom(keys: readonly KeyHash[]): Buffer {
  const bits = Buffer.alloc(Math.max(8, Math.ceil((keys.length * BITS_PER_KEY) / 8)));
  const size = bits.length * 8;
  for (const key of keys) {
    let position = key.a;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = position % size;
      bits[bit >>> 3] = (bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
      position = (position + key.b) >>> 0;
    }
  }
  return bits;
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
