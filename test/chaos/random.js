// A small seeded generator (mulberry32): a run can be made again with the seed that it printed.
export function createRandom(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const between = (low, high) => low + Math.floor(next() * (high - low + 1));
    return { next, between, pick: (values) => values[between(0, values.length - 1)] };
}
