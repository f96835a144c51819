// What a day of a quiet cluster costs in S3, at list prices.
import type { Tally } from './requests.ts';

/** S3 Standard, us-east-1, US dollars, as listed in January 2025; look them up before you rely on the sums. */
export const PRICES = { per1000Puts: 0.005, per1000Gets: 0.0004, perGbMonth: 0.023, listed: '2025-01' } as const;

const DAY_SECONDS = 86_400;
const MONTH_DAYS = 30;
const GB = 1e9;

export interface Day {
  readonly entriesPerSecond: number;
  readonly intervalSeconds: number;
  /** Of one entry: what is written once. */
  readonly perEntry: Tally;
  /** Of one push: partial objects and checkpoints. */
  readonly perPush: Tally;
  /** How long they are kept (mirror.retention). */
  readonly keptDays: { readonly full: number; readonly partial: number };
}

export interface DayCost {
  readonly puts: number;
  readonly gets: number;
  readonly requestsUsd: number;
  readonly fullGb: number;
  readonly partialGb: number;
  /** To keep what the day wrote until its locks end. */
  readonly storageUsd: number;
}

/** One day of entries at this rate, with a push every interval. */
export function dayCost({ entriesPerSecond, intervalSeconds, perEntry, perPush, keptDays }: Day): DayCost {
  const entries = entriesPerSecond * DAY_SECONDS;
  const pushes = DAY_SECONDS / intervalSeconds;
  const puts = entries * perEntry.puts + pushes * perPush.puts;
  const gets = entries * perEntry.gets + pushes * perPush.gets;
  const fullGb = (entries * perEntry.bytes) / GB;
  const partialGb = (pushes * perPush.bytes) / GB;
  return {
    puts: Math.round(puts),
    gets: Math.round(gets),
    requestsUsd: (puts * PRICES.per1000Puts + gets * PRICES.per1000Gets) / 1000,
    fullGb,
    partialGb,
    storageUsd: ((fullGb * keptDays.full + partialGb * keptDays.partial) * PRICES.perGbMonth) / MONTH_DAYS,
  };
}

export function scaled({ puts, gets, bytes }: Tally, by: number): Tally {
  return { puts: puts * by, gets: gets * by, bytes: bytes * by };
}
