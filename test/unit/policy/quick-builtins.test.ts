import { describe, expect, it } from 'vitest';
import { HOST_BUILTINS } from '../../../src/policy/builtins/registry.ts';
import type { BuiltinContext } from '../../../src/policy/builtins/types.ts';

/** As much as a text in a request can be for the main thread to evaluate it at all. */
const LENGTH = 45_000;

const CONTEXT = {} as BuiltinContext;

/** Milliseconds, the least of three runs. */
function timed(name: string, text: string): number {
  const builtin = HOST_BUILTINS.get(name);
  const runs = [1, 2, 3].map(() => {
    const began = performance.now();
    expect(() => builtin?.([text], CONTEXT)).toThrow();
    return performance.now() - began;
  });
  return Math.min(...runs);
}

describe('a built-in that the main thread runs', () => {
  it.each([
    ['time.parse_duration_ns', ''],
    ['units.parse', '-'],
    ['units.parse_bytes', '-'],
  ])('%s refuses a long row of digits in time proportional to it', (name, end) => {
    // Seconds where the pattern tries each way to divide the digits.
    expect(timed(name, '1'.repeat(LENGTH) + end)).toBeLessThan(50);
  });
});
