// Time in nanoseconds since the Unix epoch, exact, within what int64 holds. What needs Go's layouts (time.format,
// time.parse_ns) is not here yet.
import { integerOf, isNumber, numberOf, type Value } from '../terms.ts';
import { formatMagnitude } from './go-float.ts';
import { stringOperand } from './operands.ts';
import { type Builtin, BuiltinError } from './types.ts';

export const TIME: Readonly<Record<string, Builtin>> = {
  'time.now_ns': (_args, context) => context.now,
  'time.parse_rfc3339_ns': (args) => inRange(parseRfc3339(stringOperand(args, 1))),
  'time.parse_duration_ns': (args) => parseDuration(stringOperand(args, 1)),
  'time.date': ([time]) => fields(time, ['year', 'month', 'day']),
  'time.clock': ([time]) => fields(time, ['hour', 'minute', 'second']),
  'time.weekday': ([time]) => part(time, 'weekday'),
};

const INT64 = { min: -(1n << 63n), max: (1n << 63n) - 1n };

function inRange(ns: bigint): Value {
  if (ns < INT64.min || ns > INT64.max) throw new BuiltinError('time outside of valid range');
  return numberOf(ns.toString());
}

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/;

function parseRfc3339(text: string): bigint {
  const match = RFC3339.exec(text);
  if (match === null) throw new BuiltinError(`parsing time ${JSON.stringify(text)}: not RFC 3339`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const date = new Date(0);
  // setUTCFullYear, not Date.UTC: the latter takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  const real = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!real || hour > 23 || minute > 59 || second > 59)
    throw new BuiltinError(`parsing time ${JSON.stringify(text)}: out of range`);
  const offset = (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0)) * (match[8] === '-' ? -60 : 60);
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset;
  return BigInt(seconds) * 1_000_000_000n + BigInt((match[7] ?? '').padEnd(9, '0').slice(0, 9));
}

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

function parseDuration(text: string): Value {
  const invalid = new BuiltinError(`time: invalid duration ${JSON.stringify(text)}`);
  const sign = text.startsWith('-') ? -1n : 1n;
  const rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|[smhdwy]))+$/.test(rest)) throw invalid;
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

function fields(time: Value | undefined, names: readonly Intl.DateTimeFormatPartTypes[]): Value[] {
  return names.map((name) => Number(part(time, name)));
}

/** `time` is a number of nanoseconds, or [nanoseconds, IANA time zone]. */
function part(time: Value | undefined, name: Intl.DateTimeFormatPartTypes): string {
  const [ns, zone] = Array.isArray(time) ? time : [time];
  const exact = ns === undefined || !isNumber(ns) ? undefined : integerOf(ns);
  if (exact === undefined || exact < INT64.min || exact > INT64.max)
    throw new BuiltinError('timestamp too big or no number');
  if (zone !== undefined && typeof zone !== 'string') throw new BuiltinError('the time zone must be a string');
  const ms = Number((exact - (((exact % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n);
  const parts = formatIn(zone ?? '').formatToParts(ms);
  return parts.find((candidate) => candidate.type === name)?.value ?? '';
}

function formatIn(zone: string): Intl.DateTimeFormat {
  // "Local" is the process's zone in Go; a verdict must not depend on it.
  const timeZone = zone === '' || zone === 'Local' ? 'UTC' : zone;
  if (/^[+-]/.test(timeZone)) throw new BuiltinError(`unknown time zone ${zone}`);
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      weekday: 'long',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    throw new BuiltinError(`unknown time zone ${zone}`, { cause: error });
  }
}
