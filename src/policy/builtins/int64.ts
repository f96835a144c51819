// What an int64 of Go holds.
export const INT64 = { min: -(1n << 63n), max: (1n << 63n) - 1n } as const;
