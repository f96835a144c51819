import { describe, expect, it } from 'vitest';
import { RecentDecisions } from '../../../src/index/recent-decisions.ts';
import { encodeLeaf, leafHashHex } from '../../../src/ledger/leaf.ts';
import { MemoryLedger, uuid } from './support.ts';

const { leaf } = new MemoryLedger().decision({ uid: uuid(0) });

/** Of the same leaf but for what tells them apart, so that there may be many. */
function leafOf(n: number): string {
  return encodeLeaf({ ...leaf, seq: n, uid: uuid(n) });
}

const expected = (n: number) => ({ uid: uuid(n), leafHash: leafHashHex(Buffer.from(leafOf(n))) });
describe('recent decisions', () => {
  it('are found by their place among all entries, until very many have come', () => {
    const recent = new RecentDecisions();
    expect(recent.get(0)).toBeUndefined();
    const count = 40_000;
    for (let n = 0; n < count; n++) recent.add(3 * n, leafOf(n));
    for (const n of [count - 1, count - 2, count - 1000, count - 16_384])
      expect(recent.get(3 * n)).toEqual(expected(n));
    for (const n of [0, 1, count - 16_385]) expect(recent.get(3 * n)).toBeUndefined();
    // Entries between them are no decisions; and what has not come yet.
    for (const pos of [3 * count - 4, 3 * count - 5, 3 * count, Number.MAX_SAFE_INTEGER])
      expect(recent.get(pos)).toBeUndefined();
  });

  it('are forgotten all at once', () => {
    const recent = new RecentDecisions();
    recent.add(5, leafOf(1));
    recent.clear();
    expect(recent.get(5)).toBeUndefined();
    recent.add(2, leafOf(2));
    expect(recent.get(5)).toBeUndefined();
    expect(recent.get(2)).toEqual(expected(2));
  });
});
