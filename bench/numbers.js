// Medians, percentiles and rounding.
export function percentile(numbers, share) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
export function median(numbers) {
    return percentile(numbers, 0.5);
}
export function round(value, digits = 3) {
    return Number(value.toPrecision(digits));
}
export function latencyOf(waits, seconds) {
    return {
        p50: round(percentile(waits, 0.5)),
        p99: round(percentile(waits, 0.99)),
        perSecond: Math.round(waits.length / seconds),
    };
}
