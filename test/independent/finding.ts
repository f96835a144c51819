// What the independent verifier says.

export type Status = 'whole' | 'tampered' | 'incomplete' | 'wrong-key';
export const EXIT_CODES = { whole: 0, tampered: 10, incomplete: 11, 'wrong-key': 12 } as const;
/** What several findings together amount to: the first of these that one of them says. */
export const GRAVEST: readonly Status[] = ['tampered', 'wrong-key', 'incomplete'];

/** Entries `from` … `to` of a shard; both absent when it is not about entries. One entry is named when `from` equals `to`. */
export interface Finding {
  status: Status;
  shard: number;
  from?: number;
  to?: number;
  message: string;
}
export interface Report {
  status: Status;
  exitCode: number;
  findings: Finding[];
  shards: { shard: number; origin: string; entries: number; signed: number }[];
}

/** Nothing could be said about the ledger: exit code 1. */
export class CannotRun extends Error {}

export type Add = (status: Status, message: string, from?: number, to?: number) => void;
