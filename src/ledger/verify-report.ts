// What a verification can find, and the bounded list it is collected in. docs/verify.md explains every code.

/** Every finding, with what it makes of the ledger: changed (`tampered`) or not all there (`incomplete`). */
export const FINDING_CODES = {
  'leaf-changed': 'tampered',
  'leaf-malformed': 'tampered',
  'chain-broken': 'tampered',
  'history-changed': 'tampered',
  'body-changed': 'tampered',
  'pack-damaged': 'tampered',
  'pack-overlap': 'tampered',
  'entry-deleted': 'tampered',
  'head-missing': 'tampered',
  'entry-inserted': 'tampered',
  'entry-moved': 'tampered',
  'entries-swapped': 'tampered',
  'start-mismatch': 'tampered',
  'checkpoint-altered': 'tampered',
  'checkpoint-other-key': 'tampered',
  'checkpoint-fork': 'tampered',
  'checkpoint-missing': 'tampered',
  'outside-fork': 'tampered',
  'shard-replaced': 'tampered',
  'link-broken': 'tampered',
  'log-mixed': 'tampered',
  'meta-changed': 'tampered',
  'schema-changed': 'tampered',
  'database-damaged': 'tampered',
  'body-missing': 'incomplete',
  'tail-missing': 'incomplete',
  'rolled-back': 'incomplete',
  'shard-missing': 'incomplete',
  'quorum-missing': 'incomplete',
  // Of a mirror or an export.
  'object-changed': 'tampered',
  'object-overwritten': 'tampered',
  'object-hidden': 'tampered',
  'object-squatted': 'tampered',
  'checkpoint-put-back': 'tampered',
  'retention-missing': 'tampered',
  'retention-short': 'tampered',
  'mirror-differs': 'tampered',
  'object-missing': 'incomplete',
} as const satisfies Record<string, 'tampered' | 'incomplete'>;

export type FindingCode = keyof typeof FINDING_CODES;

/** One thing that is wrong. `from` and `to` are inclusive; where one entry is to blame both are that entry. */
export interface Finding {
  readonly code: FindingCode;
  readonly shard: number;
  /** First entry of the narrowest range the evidence allows; absent when the finding is not about entries. */
  readonly from?: number;
  /** Last entry of that range. */
  readonly to?: number;
  /** Size of the checkpoint that the finding is about or rests on. */
  readonly checkpoint?: number;
  /** Key of the object that the finding is about, of a mirror or an export. */
  readonly object?: string;
  /** Of such an object: whether what it should hold is proven by other versions or objects. */
  readonly history?: 'whole' | 'lost';
  readonly message: string;
}

export type VerifyStatus = 'whole' | 'tampered' | 'incomplete' | 'wrong-key';

/** Exit codes of `sealgate verify`; 1 is "could not run", 2 is usage. */
export const EXIT_CODES: Readonly<Record<VerifyStatus, number>> = {
  whole: 0,
  tampered: 10,
  incomplete: 11,
  'wrong-key': 12,
};

/** What was checked in one shard. */
export interface ShardReport {
  readonly shard: number;
  /** Origin as the checkpoints say it; absent when no checkpoint is signed by a given key. */
  readonly origin?: string;
  /** Entries in the shard when the verification began. */
  readonly entries: number;
  /** Entries whose bodies were checked against their commitments. */
  readonly bodies: number;
  /** Checkpoints read, and how many of them are properly signed and match the entries. */
  readonly checkpoints: number;
  readonly matched: number;
  /** Entries that a matching signed checkpoint covers. */
  readonly signed: number;
  /** Entries after the last signed one. */
  readonly unsignedTail: number;
  readonly firstTime?: string;
  readonly lastTime?: string;
  /** Name of the key that signed, which is the log's. */
  readonly key?: string;
  /** The key itself, as a vkey; another than the one given where the log's key was rotated. */
  readonly vkey?: string;
  /** Root hash over the signed entries, base64. */
  readonly root?: string;
}

/** The result of a verification; `sealgate verify --json` prints exactly this, and docs/verify.md describes it. */
export interface VerifyReport {
  /** Version of this object's shape. */
  readonly report: 1;
  readonly path: string;
  readonly status: VerifyStatus;
  readonly exitCode: number;
  readonly shards: readonly ShardReport[];
  /** At most MAX_FINDINGS; `findingCount` has them all. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** What this run could not check, and why, a sentence each. */
  readonly unchecked: readonly string[];
  /** Remarks that change nothing about the status. */
  readonly notes: readonly string[];
  /** Unsigned entries in all shards. */
  readonly unsignedTail: number;
  /** Of a mirror or an export: whether every entry and body that its checkpoints cover is proven, whatever else was found. */
  readonly history?: 'whole' | 'lost';
}

/** Findings listed one by one; the rest are counted. */
export const MAX_FINDINGS = 100;

const MAX_REMARKS = 50;

/** Collects findings in bounded memory: the tampered file decides how many there are. */
export class Findings {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<FindingCode, number>();
  #tampered = 0;
  #incomplete = false;
  readonly #unchecked = new Set<string>();
  readonly #notes = new Set<string>();

  add(finding: Finding): void {
    this.#counts.set(finding.code, this.countOf(finding.code) + 1);
    if (FINDING_CODES[finding.code] === 'tampered') this.#tampered += 1;
    else this.#incomplete = true;
    if (this.#kept.length < MAX_FINDINGS) this.#kept.push(finding);
  }

  /** Records, once, something that could not be checked. */
  unchecked(text: string): void {
    if (this.#unchecked.size < MAX_REMARKS) this.#unchecked.add(text);
  }

  note(text: string): void {
    if (this.#notes.size < MAX_REMARKS) this.#notes.add(text);
  }

  /** All findings, except those that list() leaves out as said already. */
  get count(): number {
    const said = this.#kept.length - this.list().length;
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0) - said;
  }

  /** Findings that mean that something was changed. */
  get tamperedCount(): number {
    return this.#tampered;
  }

  get incomplete(): boolean {
    return this.#incomplete;
  }

  /** Findings with this code. */
  countOf(code: FindingCode): number {
    return this.#counts.get(code) ?? 0;
  }

  /** The list in the order of shards and entries. What a changed leaf explains is said once. */
  list(): Finding[] {
    const changed = new Set<string>();
    const kept = this.#kept.filter((one) => {
      if (one.code !== 'leaf-changed') return true;
      const key = `${one.shard}/${one.from}`;
      return !changed.has(key) && changed.add(key);
    });
    const explained = (one: Finding): boolean =>
      (one.code === 'body-changed' || (one.code === 'pack-damaged' && one.from === one.to)) &&
      changed.has(`${one.shard}/${one.from}`);
    return kept
      .filter((one) => !explained(one))
      .toSorted((a, b) => a.shard - b.shard || (a.from ?? -1) - (b.from ?? -1));
  }

  get uncheckedList(): string[] {
    return [...this.#unchecked];
  }

  get notesList(): string[] {
    return [...this.#notes];
  }
}

/** "entry 7" or "entries 7 to 9", for messages. */
export function entriesText(from: number, to: number): string {
  return from === to ? `entry ${from}` : `entries ${from} to ${to}`;
}
