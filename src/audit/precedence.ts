// Decisions go before audit batches: somebody waits for each of them.
import type { HttpHandler } from '../lib/http.ts';

/** After a decision the next one is expected for so long: whoever asks one after the other finds the thread free. */
const EXPECTED_MS = 10;

export interface Precedence {
  /** The handler of admission requests, watched. */
  of(handler: HttpHandler): HttpHandler;
  /** Whether a decision is being made, or was a moment ago. */
  holds(): boolean;
}

/** `now`: milliseconds that never go back. */
export function createPrecedence(now: () => number): Precedence {
  let open = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    of: (handler) => async (request) => {
      open++;
      try {
        return await handler(request);
      } finally {
        open--;
        last = now();
      }
    },
    holds: () => open > 0 || now() - last < EXPECTED_MS,
  };
}
