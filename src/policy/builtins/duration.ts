// Durations as Go writes them, with OPA's days, weeks and years.
import { numberOf, type Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { formatMagnitude } from './go-float.ts';
import { INT64 } from './int64.ts';

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** OPA adds these to Go's units, as hours. */
const UNIT_HOURS: Readonly<Record<string, number>> = { d: 24, w: 168, y: 8760 };

/** Nanoseconds of a duration such as 1d2h3.5s. Throws a BuiltinError for what is none, or does not fit. */
export function parseDuration(text: string): Value {
  const invalid = new BuiltinError(`time: invalid duration ${JSON.stringify(text)}`);
  const sign = text.startsWith('-') ? -1n : 1n;
  const rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  // No digit may belong to either of two parts of the pattern: trying both takes time by the square of the length.
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|[smhdwy]))+$/.test(rest)) throw invalid;
  let total = 0n;
  for (const [, digits = '', unit = ''] of rest.matchAll(/([\d.]+)([^\d.]+)/g)) total += segment(digits, unit);
  total *= sign;
  if (total < INT64.min || total > INT64.max) throw invalid;
  return numberOf(total.toString());
}

function segment(digits: string, unit: string): bigint {
  const hours = UNIT_HOURS[unit];
  if (hours !== undefined) return segment(formatMagnitude(Number(digits) * hours, 'f', -1), 'h');
  const [whole = '', fraction = ''] = digits.split('.');
  const ns = UNIT_NS[unit] ?? 0n;
  const scale = 10n ** BigInt(fraction.length);
  return BigInt(whole || 0) * ns + (BigInt(fraction || 0) * ns) / scale;
}
