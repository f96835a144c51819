// How long one exchange with a store may take in all, which grows with what is moved: neither a request that hangs nor one that
// drips is waited for without end.

const BASE_MS = 90_000;
/** The slowest line that a mirror can live with. */
export const SLOWEST_BYTES_PER_MS = 64;

export interface Deadline {
  readonly signal: AbortSignal;
  /** Allows for this many bytes from now on. */
  allow(bytes: number): void;
  end(): void;
}

/** Aborts its signal when the time for `bytes` has run out. */
export function deadline(bytes: number): Deadline {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const allow = (more: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(), BASE_MS + more / SLOWEST_BYTES_PER_MS);
  };
  allow(bytes);
  return { signal: controller.signal, allow, end: () => clearTimeout(timer) };
}
