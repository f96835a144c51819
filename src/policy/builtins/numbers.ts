// numbers.range_step; numbers.range itself is native.
import { numberOf, type Value } from '../terms.ts';
import { integerOperand } from './operands.ts';
import { type Builtin, BuiltinError } from './types.ts';

/** A range is built in the host's memory before the policy sees it; no policy needs more. */
const MAX_RANGE = 1_000_000n;

export const NUMBERS: Readonly<Record<string, Builtin>> = {
  'numbers.range_step': (args) => range(integerOperand(args, 1), integerOperand(args, 2), integerOperand(args, 3)),
};

function range(from: bigint, to: bigint, step: bigint): Value[] {
  if (step <= 0n) throw new BuiltinError('numbers.range_step: step must be a positive integer');
  const count = (from <= to ? to - from : from - to) / step + 1n;
  if (count > MAX_RANGE) throw new RangeError(`numbers.range_step: ${count} numbers are more than ${MAX_RANGE}`);
  const signed = from <= to ? step : -step;
  return Array.from({ length: Number(count) }, (_, i) => numberOf((from + signed * BigInt(i)).toString()));
}
