// Medians, percentiles and rounding.

export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(numbers: readonly number[]): number {
  return percentile(numbers, 0.5);
}

export function round(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}

/** p50 and p99 in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

export function latencyOf(waits: readonly number[], seconds: number): Latency {
  return {
    p50: round(percentile(waits, 0.5)),
    p99: round(percentile(waits, 0.99)),
    perSecond: Math.round(waits.length / seconds),
  };
}
