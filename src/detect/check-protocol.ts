// What the thread of a ledger check is given, and what it says.

/** A part of the ledger: all of it, or one shard with the bodies from an entry on (its leaves, chain and tree always whole). */
export interface CheckData {
  readonly ledgerDir: string;
  readonly vkey: string;
  /** Checkpoints that this process has seen: the ledger has to continue them. */
  readonly checkpoints: readonly string[];
  readonly shard: number | undefined;
  readonly from: number;
  /** Part of one core that the check may take, 1 to 100. */
  readonly cpuPercent: number;
}

export interface CheckResult {
  /** Entries that were read. */
  readonly entries: number;
  /** What was found, a sentence each, at most a few; empty when everything is whole. */
  readonly problems: readonly string[];
  readonly problemCount: number;
}
