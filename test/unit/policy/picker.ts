// Choices from a seed, for what tests generate.

export type Pick = <T>(choices: readonly T[]) => T;

/** mulberry32: small, and the same on every machine. */
export function picker(seed: number): Pick {
  let state = seed;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
}
