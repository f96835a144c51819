// What a built-in of the host is: a function of Rego values, and what it may use beside them.
import type { RE2JS } from 're2js';
import type { Value } from '../terms.ts';
import type { Zone } from './zones.ts';

/** Lives as long as one evaluation of one request, so that time stands still for all its policies. */
export interface BuiltinContext {
  /** Nanoseconds since the Unix epoch: the time that the whole evaluation sees. */
  readonly now: bigint;
  /** Compiled expressions; outlives the evaluation. */
  readonly regexes: Map<string, RE2JS>;
  /** Time zones by name; outlives the evaluation. */
  readonly zones: Map<string, Zone>;
  /** What must not change within the evaluation (a random number, a UUID), by the name of the built-in and its arguments. */
  readonly fixed: Map<string, Value>;
  /** Most characters that a built-in may make of a few. */
  readonly maxChars: number;
  /** That many random bytes. */
  random(count: number): Uint8Array;
  /** Takes one line of a policy's `print`. */
  print(line: string): void;
}

/**
 * Returns undefined, or throws a BuiltinError, where OPA's built-in fails: outside of strict mode OPA makes either
 * undefined in the policy. Anything else that is thrown is a defect of the host and fails the policy.
 */
export type Builtin = (args: readonly Value[], context: BuiltinContext) => Value | undefined;
