// Wall-clock time in IANA time zones, from the data that Node carries: what is installed on the machine makes no difference.
import { BuiltinError } from './error.ts';

/** A moment as clocks show it in its zone. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
}

const BILLION = 1_000_000_000n;

/** A time zone by its IANA name; '' and UTC, and Go's Local, which must not depend on the machine, are UTC. */
export class Zone {
  readonly name: string;
  private readonly format: Intl.DateTimeFormat | undefined;

  private lettering: readonly Intl.DateTimeFormat[] | undefined;

  constructor(name: string) {
    this.name = name === '' || name === 'Local' ? 'UTC' : name;
    this.format = this.name === 'UTC' ? undefined : formatIn(this.name);
  }

  /** Seconds that clocks are ahead of UTC at that moment (seconds since the epoch). */
  offsetAt(seconds: number): number {
    if (this.format === undefined) return 0;
    const fields = new Map(this.format.formatToParts(seconds * 1000).map(({ type, value }) => [type, Number(value)]));
    const [year, month, day] = [fields.get('year') ?? 0, fields.get('month') ?? 0, fields.get('day') ?? 0];
    const time = (fields.get('hour') ?? 0) * 3600 + (fields.get('minute') ?? 0) * 60 + (fields.get('second') ?? 0);
    return daysSince1970(year, month, day) * 86_400 + time - seconds;
  }

  /** The zone's letters at that moment, such as CET; undefined where only a number is in use. */
  abbreviationAt(seconds: number): string | undefined {
    if (this.format === undefined) return 'UTC';
    this.lettering ??= ABBREVIATING_LOCALES.map(
      (locale) => new Intl.DateTimeFormat(locale, { timeZone: this.name, timeZoneName: 'short' }),
    );
    for (const format of this.lettering) {
      const name = format.formatToParts(seconds * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      if (/^[A-Z]{3,5}$/.test(name)) return name;
    }
    return undefined;
  }

  wallTime(ns: bigint): WallTime {
    const nanosecond = Number(((ns % BILLION) + BILLION) % BILLION);
    const seconds = Number((ns - BigInt(nanosecond)) / BILLION);
    const local = new Date((seconds + this.offsetAt(seconds)) * 1000);
    return {
      year: local.getUTCFullYear(),
      month: local.getUTCMonth() + 1,
      day: local.getUTCDate(),
      hour: local.getUTCHours(),
      minute: local.getUTCMinutes(),
      second: local.getUTCSeconds(),
      nanosecond,
    };
  }

  /** The moment of a wall-clock time whose fields may be beyond their range, as Go's time.Date takes it. */
  moment(wall: WallTime): bigint {
    const date = daysSince1970(wall.year, wall.month, wall.day) * 86_400;
    const local = date + wall.hour * 3600 + wall.minute * 60 + wall.second;
    if (!Number.isSafeInteger(local) || Math.abs(local) > 1e12) throw new BuiltinError('time outside of valid range');
    const guess = this.offsetAt(local);
    // Go takes the offset of the moment that the first guess leads to, and keeps a guess of zero.
    const offset = guess === 0 ? 0 : this.offsetAt(local - guess);
    return BigInt(local - offset) * BILLION + BigInt(wall.nanosecond);
  }
}

/** Days from 1 January 1970; month and day may be beyond their range. */
function daysSince1970(year: number, month: number, day: number): number {
  const date = new Date(0);
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime() / 86_400_000;
}

/** English has letters for a zone only where it is at home. */
const ABBREVIATING_LOCALES = ['en-US', 'en-GB', 'en-AU', 'en-NZ', 'en-IN', 'en-ZA', 'en-CA'];

function formatIn(timeZone: string): Intl.DateTimeFormat {
  if (/^[+-]/.test(timeZone)) throw new BuiltinError(`unknown time zone ${timeZone}`);
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    throw new BuiltinError(`unknown time zone ${timeZone}`, { cause: error });
  }
}
