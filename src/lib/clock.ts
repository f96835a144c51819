// Wall clock in microseconds, given to whoever needs it as an argument so that tests can hold it still.

/** Microseconds since the Unix epoch, as an integer (exact in a double until the year 2255). */
export type Micros = number;

export interface Clock {
  now(): Micros;
}

/** How far the extrapolated time may stand from Date.now() before the two are brought together again, in milliseconds. */
const MAX_DRIFT_MS = 2;

/**
 * The system's clock. Date.now() has whole milliseconds; the microseconds come from the monotonic clock, which is
 * anchored to Date.now() and anchored anew whenever the wall clock is stepped.
 */
export function systemClock(): Clock {
  let wall = Date.now();
  let steady = performance.now();
  return {
    now(): Micros {
      const nowWall = Date.now();
      const nowSteady = performance.now();
      let time = wall + (nowSteady - steady);
      if (Math.abs(time - nowWall) > MAX_DRIFT_MS) {
        wall = nowWall;
        steady = nowSteady;
        time = nowWall;
      }
      return Math.floor(time * 1000);
    },
  };
}

/** Milliseconds of the clock that all threads share; performance.now() counts from the start of each. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** RFC 3339 in UTC with six decimals, for example 2026-01-31T23:59:59.000001Z. */
export function formatMicros(time: Micros): string {
  const ms = Math.floor(time / 1000);
  const rest = time - ms * 1000;
  return `${new Date(ms).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}

const RFC3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** Microseconds of an RFC 3339 time (digits beyond the sixth decimal are cut), or undefined when it is not one. */
export function parseMicros(text: string): Micros | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(seconds)) return undefined;
  return seconds * 1000 + Number((match[2] ?? '').padEnd(6, '0').slice(0, 6));
}
