// Prints a moment under one of Go's layouts, as Go's time.Format does.
import { isFraction, isOffset, MONTHS, nextChunk, WEEKDAYS, weekdayOf, yearDay } from './go-layout.ts';
import type { WallTime, Zone } from './zones.ts';

/** `ns` is a moment in nanoseconds since the epoch. */
export function formatTime(ns: bigint, zone: Zone, layout: string): string {
  const wall = zone.wallTime(ns);
  const seconds = Number((ns - BigInt(wall.nanosecond)) / 1_000_000_000n);
  let out = '';
  for (let left = layout; ; ) {
    const { prefix, part, rest } = nextChunk(left);
    out += prefix;
    if (part === '') return out;
    if (isFraction(part)) out += fraction(part, wall.nanosecond);
    else if (isOffset(part)) out += offset(part, zone.offsetAt(seconds));
    else if (part === 'MST') out += zone.abbreviationAt(seconds) ?? offset('-07', zone.offsetAt(seconds), true);
    else out += field(part, wall);
    left = rest;
  }
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function field(part: string, { year, month, day, hour, minute, second }: WallTime): string {
  switch (part) {
    case 'January':
      return MONTHS[month - 1] ?? '';
    case 'Jan':
      return (MONTHS[month - 1] ?? '').slice(0, 3);
    case '1':
      return String(month);
    case '01':
      return two(month);
    case 'Monday':
      return WEEKDAYS[weekdayOf(year, month, day)] ?? '';
    case 'Mon':
      return (WEEKDAYS[weekdayOf(year, month, day)] ?? '').slice(0, 3);
    case '2006':
      return String(year).padStart(4, '0');
    case '06':
      return two(year % 100);
    default:
      return dayField(part, yearDay(year, month, day), day) ?? clockField(part, { hour, minute, second });
  }
}

function dayField(part: string, dayOfYear: number, day: number): string | undefined {
  switch (part) {
    case '2':
      return String(day);
    case '_2':
      return String(day).padStart(2, ' ');
    case '02':
      return two(day);
    case '__2':
      return String(dayOfYear).padStart(3, ' ');
    case '002':
      return String(dayOfYear).padStart(3, '0');
    default:
      return undefined;
  }
}

function clockField(part: string, { hour, minute, second }: Pick<WallTime, 'hour' | 'minute' | 'second'>): string {
  switch (part) {
    case '15':
      return two(hour);
    case '3':
      return String(hour % 12 || 12);
    case '03':
      return two(hour % 12 || 12);
    case '4':
      return String(minute);
    case '04':
      return two(minute);
    case '5':
      return String(second);
    case '05':
      return two(second);
    case 'PM':
      return hour >= 12 ? 'PM' : 'AM';
    default:
      return hour >= 12 ? 'pm' : 'am';
  }
}

/** Nines leave trailing zeros out, and the whole fraction when nothing is left. */
function fraction(part: string, nanosecond: number): string {
  const digits = String(nanosecond)
    .padStart(9, '0')
    .padEnd(part.length - 1, '0')
    .slice(0, part.length - 1);
  if (part[1] === '0') return part.slice(0, 1) + digits;
  const trimmed = digits.replace(/0+$/, '');
  return trimmed === '' ? '' : part.slice(0, 1) + trimmed;
}

/** `full`: minutes even where the layout has none, which stands in for letters that a zone does not have. */
function offset(part: string, seconds: number, full = false): string {
  if (part.startsWith('Z') && seconds === 0) return 'Z';
  const magnitude = Math.abs(seconds);
  const [hours, minutes] = [two(Math.floor(magnitude / 3600)), two(Math.floor(magnitude / 60) % 60)];
  const sign = seconds < 0 ? '-' : '+';
  const colon = part.includes(':') ? ':' : '';
  if (part.length === 3) return sign + hours + (full && minutes !== '00' ? minutes : '');
  const withSeconds = part.length >= 7;
  return `${sign}${hours}${colon}${minutes}${withSeconds ? colon + two(magnitude % 60) : ''}`;
}
