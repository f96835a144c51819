// numbers.range_step (numbers.range itself is native) and rand.intn.
import { numberOf, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { integerOperand, stringOperand } from './operands.ts';
import type { Builtin, BuiltinContext } from './types.ts';

/** A range is built in the host's memory before the policy sees it; no policy needs more. */
const MAX_RANGE = 1_000_000n;

export const NUMBERS: Readonly<Record<string, Builtin>> = {
  'numbers.range_step': (args) => range(integerOperand(args, 1), integerOperand(args, 2), integerOperand(args, 3)),
  'rand.intn': (args, context) => randomBelow(stringOperand(args, 1), integerOperand(args, 2), context),
};

/** The same for the same arguments within one evaluation. */
function randomBelow(key: string, below: bigint, context: BuiltinContext): Value {
  const limit = below < 0n ? -below : below;
  if (limit === 0n) return 0;
  if (limit >= 1n << 63n) throw new BuiltinError('operand 2 must be an integer of 64 bits');
  const name = `rand.intn ${limit} ${key}`;
  const known = context.fixed.get(name);
  if (known !== undefined) return known;
  // 16 bytes for 8: what is left of an even distribution after the remainder is beyond measuring.
  const drawn = BigInt(`0x${Buffer.from(context.random(16)).toString('hex')}`);
  const number = numberOf((drawn % limit).toString());
  context.fixed.set(name, number);
  return number;
}

function range(from: bigint, to: bigint, step: bigint): Value[] {
  if (step <= 0n) throw new BuiltinError('numbers.range_step: step must be a positive integer');
  const count = (from <= to ? to - from : from - to) / step + 1n;
  if (count > MAX_RANGE) throw new RangeError(`numbers.range_step: ${count} numbers are more than ${MAX_RANGE}`);
  const signed = from <= to ? step : -step;
  return Array.from({ length: Number(count) }, (_, i) => numberOf((from + signed * BigInt(i)).toString()));
}
