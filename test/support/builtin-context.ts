// What built-ins are given in tests: a time that stands still, random bytes that are always the same, and nowhere to print.
import { MAX_CHARS } from '../../src/policy/builtins/too-long.ts';
import type { BuiltinContext } from '../../src/policy/builtins/types.ts';

export function builtinContext(given: Partial<BuiltinContext> = {}): BuiltinContext {
  let drawn = 0;
  return {
    now: 0n,
    regexes: new Map(),
    zones: new Map(),
    maxChars: MAX_CHARS,
    fixed: new Map(),
    random: (count) => Uint8Array.from({ length: count }, () => (drawn = (drawn * 5 + 3) % 256)),
    print: () => undefined,
    ...given,
  };
}
