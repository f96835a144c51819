// Go's time layouts: the parts of the reference time, Mon Jan 2 15:04:05 MST 2006, as go1.26 finds them
// (src/time/format.go, nextStdChunk).

/** Layouts that OPA knows by name. */
export const NAMED_LAYOUTS: Readonly<Record<string, string>> = {
  ANSIC: 'Mon Jan _2 15:04:05 2006',
  UnixDate: 'Mon Jan _2 15:04:05 MST 2006',
  RubyDate: 'Mon Jan 02 15:04:05 -0700 2006',
  RFC822: '02 Jan 06 15:04 MST',
  RFC822Z: '02 Jan 06 15:04 -0700',
  RFC850: 'Monday, 02-Jan-06 15:04:05 MST',
  RFC1123: 'Mon, 02 Jan 2006 15:04:05 MST',
  RFC1123Z: 'Mon, 02 Jan 2006 15:04:05 -0700',
  RFC3339: '2006-01-02T15:04:05Z07:00',
  RFC3339Nano: '2006-01-02T15:04:05.999999999Z07:00',
};

export const MONTHS: readonly string[] =
  'January February March April May June July August September October November December'.split(' ');
export const WEEKDAYS: readonly string[] = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

const CHUNK =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|2006|__2|_2(?!006)|PM|pm|[-Z]07(?::00:00|0000|:00|00)?|[.,](?:0+|9+)(?!\d)|[1-5]/;

/** Text before the next part, the part ('' when there is none any more), and what follows. */
export function nextChunk(layout: string): { prefix: string; part: string; rest: string } {
  const match = CHUNK.exec(layout);
  if (match === null) return { prefix: layout, part: '', rest: '' };
  const [part] = match;
  return { prefix: layout.slice(0, match.index), part, rest: layout.slice(match.index + part.length) };
}

/** Whether the part is a fraction of a second: .000 or ,999. */
export function isFraction(part: string): boolean {
  return part.startsWith('.') || part.startsWith(',');
}

/** Whether the part is an offset: -0700, Z07:00 and their kin. */
export function isOffset(part: string): boolean {
  return part.startsWith('-') || part.startsWith('Z');
}

/** Sunday is 0. */
export function weekdayOf(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCDay();
}

/** 1 for 1 January. */
export function yearDay(year: number, month: number, day: number): number {
  const [date, first] = [new Date(0), new Date(0)];
  date.setUTCFullYear(year, month - 1, day);
  first.setUTCFullYear(year, 0, 1);
  return (date.getTime() - first.getTime()) / 86_400_000 + 1;
}

export function daysIn(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}
