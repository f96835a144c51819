// Why a policy gave no verdict, in words for the record: the module and V8 have their own, which only they understand.
import { messageOf } from '../lib/errors.ts';
import { PolicyAbort } from './host.ts';

/** OPA puts the place before these two: `names.rego:5:1: var assignment conflict`. */
const CONFLICTS: readonly (readonly [string, string])[] = [
  ['var assignment conflict', 'two values for one rule, or one function and the same arguments'],
  ['object insert conflict', 'two values for one key of an object'],
];

/** The module's functions for numbers (OPA's wasm/src: mpd.c, arithmetic.c, bits-builtins.c, numbers.c and others). */
const NUMBERS =
  /^(?:opa_(?:number|arith|bits|value_compare_number)|mpd:|aggregates: int|strings: (?:truncate|get uint) failed)/;

export function failureWords(error: unknown): string {
  const message = messageOf(error);
  if (error instanceof PolicyAbort) return abortWords(message);
  if (error instanceof RangeError && /call stack/i.test(message)) return 'the policy or its input is nested too deeply';
  if (error instanceof RangeError && message === 'Invalid string length')
    return 'a built-in was asked for a text that is too long';
  if (error instanceof WebAssembly.RuntimeError)
    return /out of bounds/.test(message)
      ? 'the policy or its input is nested too deeply'
      : `the policy stopped: ${message}`;
  return message;
}

function abortWords(message: string): string {
  if (message === 'opa_malloc: failed') return 'the policy needs more memory than an instance may have';
  if (NUMBERS.test(message)) return `the policy computes with a number that is too large (${message})`;
  const conflict = CONFLICTS.find(([words]) => message.endsWith(words));
  return conflict === undefined ? message : message.slice(0, -conflict[0].length) + conflict[1];
}
