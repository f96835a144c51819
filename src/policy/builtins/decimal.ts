// Exact arithmetic on decimal numbers as JSON writes them.
import { isNumber, numberText, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';

/** digits × 10^exponent. */
export interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

/** Beyond this, alignment would need more digits than any document has. */
const MAX_EXPONENT = 4096;

export function decimalOf(value: Value): Decimal | undefined {
  if (!isNumber(value)) return undefined;
  const match = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(numberText(value));
  if (match === null) return undefined;
  const fraction = match[2] ?? '';
  const exponent = Number(match[3] ?? 0) - fraction.length;
  if (Math.abs(exponent) > MAX_EXPONENT) throw new BuiltinError('a number has too large an exponent');
  return { digits: BigInt(`${match[1]}${fraction}`), exponent };
}

/** Both as integers of the same unit. */
function aligned(a: Decimal, b: Decimal): [bigint, bigint] {
  const unit = Math.min(a.exponent, b.exponent);
  return [a.digits * 10n ** BigInt(a.exponent - unit), b.digits * 10n ** BigInt(b.exponent - unit)];
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const [x, y] = aligned(a, b);
  return x < y ? -1 : x > y ? 1 : 0;
}

export function isMultiple(value: Decimal, of: Decimal): boolean {
  const [x, y] = aligned(value, of);
  return y !== 0n && x % y === 0n;
}

export function isInteger(value: Decimal): boolean {
  return isMultiple(value, { digits: 1n, exponent: 0 });
}
