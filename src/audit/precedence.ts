// Decisions go before audit batches: somebody waits for each of them. Batches are read on a thread of their own, so what one side
// counts and the other looks at is memory that both share.
import { monotonicMs } from '../lib/clock.ts';
import type { HttpHandler } from '../lib/http.ts';

/** After a decision the next one is expected for so long: whoever asks one after the other finds the core free. */
const EXPECTED_MS = 10;

/** An Int32 with the decisions that are being made, a Float64 with when the last one was, by monotonicMs. */
const BYTES = 16;
const OPEN = 0;
const LAST = 1;

export function precedenceMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BYTES);
}

/** The handler of admission requests, watched. */
export function watched(handler: HttpHandler, memory: SharedArrayBuffer): HttpHandler {
  const open = new Int32Array(memory);
  const last = new Float64Array(memory);
  const ended = (): void => {
    Atomics.sub(open, OPEN, 1);
    last[LAST] = monotonicMs();
  };
  return (request) => {
    Atomics.add(open, OPEN, 1);
    try {
      const answer = handler(request);
      answer.then(ended, ended);
      return answer;
    } catch (thrown) {
      ended();
      throw thrown;
    }
  };
}

/** Whether a decision is being made, or was a moment ago. */
export function decisionsWaiting(memory: SharedArrayBuffer): () => boolean {
  const open = new Int32Array(memory);
  const last = new Float64Array(memory);
  return () => Atomics.load(open, OPEN) > 0 || monotonicMs() - (last[LAST] ?? 0) < EXPECTED_MS;
}
