import { describe, expect, it } from 'vitest';
import { entriesSince } from '../../../src/ledger/recent.js';
import { formatMicros } from '../../../src/lib/clock.js';
/** A reader of entries at these times that counts what is asked of it. */
function readerOf(times) {
    let gets = 0;
    const entry = (seq) => ({ seq, leaf: { time: formatMicros(times[seq]) } });
    const reader = {
        head: () => times.length,
        get: (_, seq) => {
            gets += 1;
            return entry(seq);
        },
        *entries(_, from, to = times.length) {
            for (let seq = from; seq < to; seq++)
                yield entry(seq);
        },
    };
    return { reader, gets: () => gets };
}
describe('entriesSince', () => {
    const times = Array.from({ length: 1000 }, (_, i) => 1_000_000 * i);
    const seqs = (since, limit = 10_000) => {
        const { reader } = readerOf(times);
        return [...entriesSince(reader, 0, since, limit)].map(({ seq }) => seq);
    };
    it('begins with the first entry that is new enough', () => {
        expect(seqs(997_000_000)).toEqual([997, 998, 999]);
        expect(seqs(996_000_001)).toEqual([997, 998, 999]);
        expect(seqs(0)).toHaveLength(1000);
        expect(seqs(2_000_000_000)).toEqual([]);
    });
    it('gives no more than the limit, the newest of them', () => {
        expect(seqs(0, 2)).toEqual([998, 999]);
    });
    it('looks at few of the older ones', () => {
        const { reader, gets } = readerOf(times);
        expect([...entriesSince(reader, 0, 999_000_000, 10_000)]).toHaveLength(1);
        expect(gets()).toBeLessThan(12);
    });
    it('copes with an empty shard', () => {
        const { reader } = readerOf([]);
        expect([...entriesSince(reader, 0, 0, 10)]).toEqual([]);
    });
});
