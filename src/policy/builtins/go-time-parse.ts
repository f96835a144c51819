// Reads a time under one of Go's layouts, as leniently as Go's time.Parse does (go1.26, src/time/format.go).

import { BuiltinError } from './error.ts';
import { daysIn, isFraction, isOffset, MONTHS, nextChunk, WEEKDAYS } from './go-layout.ts';
import { Zone } from './zones.ts';

/** Nanoseconds since the epoch. Throws a BuiltinError when the text does not fit the layout. */
export function parseTime(layout: string, text: string): bigint {
  return new TimeReader(layout, text).read();
}

class TimeReader {
  private readonly whole: string;
  private layout: string;
  private value: string;
  private year = 0;
  private month: number | undefined;
  private day: number | undefined;
  private dayOfYear: number | undefined;
  private hour = 0;
  private minute = 0;
  private second = 0;
  private nanosecond = 0;
  private half: 'am' | 'pm' | undefined;
  /** Seconds ahead of UTC. */
  private offset = 0;

  constructor(layout: string, text: string) {
    this.layout = layout;
    this.value = text;
    this.whole = text;
  }

  read(): bigint {
    for (;;) {
      const { prefix, part, rest } = nextChunk(this.layout);
      this.skip(prefix);
      this.layout = rest;
      if (part === '') break;
      if (isFraction(part)) this.fraction(part);
      else if (isOffset(part)) this.readOffset(part);
      else this.part(part);
    }
    if (this.value !== '') this.fail('extra text');
    return this.moment();
  }

  private moment(): bigint {
    if (this.half === 'pm' && this.hour < 12) this.hour += 12;
    else if (this.half === 'am' && this.hour === 12) this.hour = 0;
    const { year, hour, minute, second, nanosecond } = this;
    const { month, day } = this.date();
    const wall = { year, month, day, hour, minute, second: second - this.offset, nanosecond };
    return new Zone('UTC').moment(wall);
  }

  private date(): { month: number; day: number } {
    if (this.dayOfYear === undefined) {
      const [month, day] = [this.month ?? 1, this.day ?? 1];
      if (day < 1 || day > daysIn(this.year, month)) this.fail('day out of range');
      return { month, day };
    }
    let month = 1;
    let day = this.dayOfYear;
    for (; month <= 12 && day > daysIn(this.year, month); month++) day -= daysIn(this.year, month);
    if (day < 1 || month > 12) this.fail('day-of-year out of range');
    if ((this.month ?? month) !== month || (this.day ?? day) !== day) this.fail('day-of-year does not match');
    return { month, day };
  }

  private part(part: string): void {
    switch (part) {
      case '06': {
        const year = Number(this.take(/^\d\d/));
        this.year = year + (year >= 69 ? 1900 : 2000);
        break;
      }
      case '2006':
        this.year = Number(this.take(/^\d{4}/));
        break;
      case 'January':
        this.month = this.name(MONTHS) + 1;
        break;
      case 'Jan':
        this.month = this.name(MONTHS.map((month) => month.slice(0, 3))) + 1;
        break;
      case '1':
      case '01':
        this.month = this.number(part === '01', 1, 12);
        break;
      case 'Monday':
        this.name(WEEKDAYS);
        break;
      case 'Mon':
        this.name(WEEKDAYS.map((day) => day.slice(0, 3)));
        break;
      case 'MST':
        // Letters say nothing of the offset: only a process in that zone would know it.
        this.take(ZONE_LETTERS);
        break;
      case 'PM':
      case 'pm':
        this.half = this.take(part === 'PM' ? /^[AP]M/ : /^[ap]m/).toLowerCase() as 'am' | 'pm';
        break;
      default:
        this.numericPart(part);
    }
  }

  private numericPart(part: string): void {
    switch (part) {
      case '2':
      case '_2':
      case '02':
        if (part === '_2') this.value = this.value.replace(/^ /, '');
        this.day = this.number(part === '02', 0, 99);
        break;
      case '__2':
        this.value = this.value.replace(/^ {1,2}/, '');
        this.dayOfYear = Number(this.take(/^\d{1,3}/));
        break;
      case '002':
        this.dayOfYear = Number(this.take(/^\d{3}/));
        break;
      case '15':
        this.hour = this.number(false, 0, 23);
        break;
      case '3':
      case '03':
        this.hour = this.number(part === '03', 0, 12);
        break;
      case '4':
      case '04':
        this.minute = this.number(part === '04', 0, 59);
        break;
      default:
        this.second = this.number(part === '05', 0, 59);
        this.fractionWithoutLayout();
    }
  }

  /** Text between parts. A run of spaces in the layout stands for any run of them, none before the end included. */
  private skip(prefix: string): void {
    for (let at = 0; at < prefix.length; ) {
      if (prefix[at] === ' ') {
        if (this.value !== '' && !this.value.startsWith(' ')) this.fail('no space');
        while (prefix[at] === ' ') at++;
        this.value = this.value.replace(/^ +/, '');
      } else {
        if (this.value[0] !== prefix[at]) this.fail(`no ${JSON.stringify(prefix)}`);
        this.value = this.value.slice(1);
        at++;
      }
    }
  }

  private take(pattern: RegExp): string {
    const found = pattern.exec(this.value)?.[0];
    if (found === undefined) return this.fail('does not fit');
    this.value = this.value.slice(found.length);
    return found;
  }

  /** One or two digits; `fixed` means two. */
  private number(fixed: boolean, least: number, most: number): number {
    const value = Number(this.take(fixed ? /^\d\d/ : /^\d\d?/));
    if (value < least || value > most) this.fail('out of range');
    return value;
  }

  /** Position of the name that the value begins with, in whatever case. */
  private name(names: readonly string[]): number {
    const start = this.value.toLowerCase();
    const found = names.findIndex((name) => start.startsWith(name.toLowerCase()));
    if (found < 0) this.fail('no such name');
    this.value = this.value.slice(names[found]?.length);
    return found;
  }

  /** A fraction that the layout does not ask for is taken after the seconds all the same. */
  private fractionWithoutLayout(): void {
    if (/^[.,]\d/.test(this.value) && !isFraction(nextChunk(this.layout).part)) this.nanoseconds(/^[.,]\d+/);
  }

  private fraction(part: string): void {
    if (part[1] === '0') this.nanoseconds(new RegExp(`^[.,]\\d{${part.length - 1}}`));
    else if (/^[.,]\d/.test(this.value)) this.nanoseconds(/^[.,]\d+/);
  }

  private nanoseconds(pattern: RegExp): void {
    this.nanosecond = Number(this.take(pattern).slice(1).padEnd(9, '0').slice(0, 9));
  }

  private readOffset(part: string): void {
    if (part.startsWith('Z') && this.value.startsWith('Z')) {
      this.value = this.value.slice(1);
      return;
    }
    const digits = part.slice(1).replaceAll('0', '\\d').replaceAll('7', '\\d');
    const found = this.take(new RegExp(`^[+-]${digits}`)).replaceAll(':', '');
    const [hours, minutes, seconds] = [found.slice(1, 3), found.slice(3, 5), found.slice(5, 7)].map(Number);
    if ((hours ?? 0) > 24 || (minutes ?? 0) > 60 || (seconds ?? 0) > 60) this.fail('offset out of range');
    const magnitude = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
    this.offset = found.startsWith('-') ? -magnitude : magnitude;
  }

  private fail(why: string): never {
    throw new BuiltinError(`parsing time ${JSON.stringify(this.whole)}: ${why}`);
  }
}

/** UTC, GMT with an hour, an hour alone, or three to five capitals of the kinds that zones have. */
const ZONE_LETTERS =
  /^(?:UTC|ChST|MeST|GMT(?:[+-](?:2[0-3]|[01]?\d)(?!\d))?|[+-](?:2[0-3]|[01]?\d)(?!\d)|[A-Z]{4}T(?![A-Z])|(?:[A-Z]{3}T|WITA)(?![A-Z])|[A-Z]{3}(?![A-Z]))/;
