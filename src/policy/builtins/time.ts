// time.*: moments are nanoseconds since the Unix epoch, exact, within what int64 holds.
import { integerOf, isNumber, numberOf, type Value } from '../terms.ts';
import { parseDuration } from './duration.ts';
import { BuiltinError } from './error.ts';
import { NAMED_LAYOUTS, WEEKDAYS, weekdayOf } from './go-layout.ts';
import { formatTime } from './go-time-format.ts';
import { parseTime } from './go-time-parse.ts';
import { INT64 } from './int64.ts';
import { integerOperand, operand, stringOperand } from './operands.ts';
import type { Builtin, BuiltinContext } from './types.ts';
import { type WallTime, Zone } from './zones.ts';

export const TIME: Readonly<Record<string, Builtin>> = {
  'time.now_ns': (_args, context) => numberOf(context.now.toString()),
  'time.parse_ns': (args) => inRange(parseTime(layoutOf(stringOperand(args, 1)), stringOperand(args, 2))),
  'time.parse_rfc3339_ns': (args) => inRange(parseTime(layoutOf('RFC3339'), stringOperand(args, 1))),
  'time.parse_duration_ns': (args) => parseDuration(stringOperand(args, 1)),
  'time.format': (args, context) => {
    const { ns, zone, layout } = momentOperand(args, 1, context);
    return formatTime(ns, zone, layoutOf(layout || 'RFC3339Nano'));
  },
  'time.date': (args, context) => {
    const { year, month, day } = wallOperand(args, context);
    return [year, month, day];
  },
  'time.clock': (args, context) => {
    const { hour, minute, second } = wallOperand(args, context);
    return [hour, minute, second];
  },
  'time.weekday': (args, context) => {
    const { year, month, day } = wallOperand(args, context);
    return WEEKDAYS[weekdayOf(year, month, day)];
  },
  'time.add_date': (args, context) => {
    const { ns, zone } = momentOperand(args, 1, context);
    const wall = zone.wallTime(ns);
    const [years, months, days] = [2, 3, 4].map((position) => Number(integerOperand(args, position)));
    const year = wall.year + (years ?? 0);
    return inRange(zone.moment({ ...wall, year, month: wall.month + (months ?? 0), day: wall.day + (days ?? 0) }));
  },
  'time.diff': (args, context) => difference(momentOperand(args, 1, context), momentOperand(args, 2, context)),
};

function layoutOf(layout: string): string {
  return Object.hasOwn(NAMED_LAYOUTS, layout) ? (NAMED_LAYOUTS[layout] ?? layout) : layout;
}

function inRange(ns: bigint): Value {
  if (ns < INT64.min || ns > INT64.max) throw new BuiltinError('time outside of valid range');
  return numberOf(ns.toString());
}

interface Moment {
  readonly ns: bigint;
  readonly zone: Zone;
  readonly layout: string;
}

/** A number of nanoseconds, or [nanoseconds, time zone, layout], the latter two optional. */
function momentOperand(args: readonly Value[], position: number, context: BuiltinContext): Moment {
  const value = operand(args, position);
  const [time, name = '', layout = ''] = Array.isArray(value) ? value : [value];
  const ns = time === undefined || !isNumber(time) ? undefined : integerOf(time);
  if (ns === undefined || ns < INT64.min || ns > INT64.max)
    throw new BuiltinError(`operand ${position}: timestamp too big or no number`);
  if (typeof name !== 'string' || typeof layout !== 'string')
    throw new BuiltinError(`operand ${position}: time zone and layout must be strings`);
  return { ns, zone: zoneOf(name, context), layout };
}

/** Making one takes much longer than asking it. Policies have few; those from the input must not fill the memory. */
const MAX_ZONES = 100;

function zoneOf(name: string, { zones }: BuiltinContext): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const zone = new Zone(name);
  if (zones.size >= MAX_ZONES) zones.clear();
  zones.set(name, zone);
  return zone;
}

function wallOperand(args: readonly Value[], context: BuiltinContext): WallTime {
  const { ns, zone } = momentOperand(args, 1, context);
  return zone.wallTime(ns);
}

/** Years, months, days, hours, minutes and seconds between two moments, by the clocks of the first one's zone. */
function difference(first: Moment, second: Moment): Value {
  const [earlier, later] = first.ns <= second.ns ? [first.ns, second.ns] : [second.ns, first.ns];
  const from = first.zone.wallTime(earlier);
  const to = first.zone.wallTime(later);
  const fields = [to.year - from.year, to.month - from.month, to.day - from.day];
  let [year = 0, month = 0, day = 0] = fields;
  let [hour, minute, sec] = [to.hour - from.hour, to.minute - from.minute, to.second - from.second];
  if (sec < 0) [sec, minute] = [sec + 60, minute - 1];
  if (minute < 0) [minute, hour] = [minute + 60, hour - 1];
  if (hour < 0) [hour, day] = [hour + 24, day - 1];
  if (day < 0) {
    // Days of the month that the earlier moment is in.
    const overflow = new Date(0);
    overflow.setUTCFullYear(from.year, from.month - 1, 32);
    [day, month] = [day + 32 - overflow.getUTCDate(), month - 1];
  }
  if (month < 0) [month, year] = [month + 12, year - 1];
  return [year, month, day, hour, minute, sec];
}
