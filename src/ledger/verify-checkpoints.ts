// Holds the tree of one shard against its checkpoints, and against those kept outside: which are good, which leaf had to be
// another for a root to fit, and between which two checkpoints history was changed when no single leaf explains it.
import type { CheckpointRow, ShardFile } from './verify-file.ts';
import type { NoteJudge } from './verify-note.ts';
import { entriesText, type FindingCode, type Findings } from './verify-report.ts';
import { OpenTree, type Suspect } from './verify-tree.ts';

/** A checkpoint from outside the ledger whose signature is good and which is of this shard. */
export interface OutsideCheckpoint {
  readonly size: number;
  /** Hex. */
  readonly root: string;
}

interface Signed {
  readonly size: number;
  readonly root: string;
  readonly outside: boolean;
}

/** Mismatches remembered one by one until a later checkpoint fits; more are counted. */
const MAX_PENDING = 1000;

export class CheckpointWalk {
  readonly tree = new OpenTree();
  read = 0;
  matched = 0;
  /** Checkpoints that were of another key, in place of ours. */
  otherKey = 0;
  /** Largest size at which a properly signed checkpoint fits the entries. */
  signedSize = 0;
  /** Largest size at which one from outside does. */
  outsideSize = 0;
  root: string | undefined;
  origin: string | undefined;
  key: string | undefined;
  vkey: string | undefined;
  readonly #shard: number;
  readonly #judge: NoteJudge;
  readonly #findings: Findings;
  readonly #rows: Iterator<CheckpointRow>;
  readonly #outside: OutsideCheckpoint[];
  readonly #origins = new Set<string>();
  #row: CheckpointRow | undefined;
  #pending: Signed[] = [];
  #pendingCount = 0;
  #uncheckable = 0;

  constructor(
    shard: number,
    file: ShardFile,
    end: number,
    judge: NoteJudge,
    outside: readonly OutsideCheckpoint[],
    findings: Findings,
  ) {
    this.#shard = shard;
    this.#judge = judge;
    this.#findings = findings;
    this.#outside = outside.toSorted((a, b) => a.size - b.size);
    const rows = file.checkpoints(end, (from, to, why) => {
      const message = `the checkpoints of sizes ${from} to ${to} cannot be read: ${why}`;
      findings.add({ code: 'database-damaged', shard, message });
    });
    this.#rows = rows[Symbol.iterator]();
    this.#row = this.#pull();
  }

  /** Whether a checkpoint of this size or a smaller one waits: tree.size must be brought up to here first. */
  due(size: number): boolean {
    return (this.#row !== undefined && this.#row.size <= size) || (this.#outside[0]?.size ?? Number.NaN) <= size;
  }

  /** Checks the checkpoints of sizes up to `size`, at which the tree stands. */
  check(size: number): void {
    while (this.#row !== undefined && this.#row.size <= size) {
      const signed = this.#open(this.#row);
      if (signed !== undefined) this.#compare(signed, size);
      this.#row = this.#pull();
    }
    for (let next = this.#outside[0]; next !== undefined && next.size <= size; next = this.#outside[0]) {
      this.#outside.shift();
      this.#compare({ ...next, outside: true }, size);
    }
  }

  /** After the last entry: what lies beyond it, and what never fitted. `open` are the breaks that no root decided. */
  finish(entries: number, packed: number): void {
    let beyond = packed > entries ? packed : 0;
    let signedBeyond = false;
    while (this.#row !== undefined) {
      const signed = this.#open(this.#row);
      if (signed !== undefined && signed.size > entries) {
        beyond = Math.max(beyond, signed.size);
        signedBeyond = true;
      }
      this.#row = this.#pull();
    }
    if (beyond > entries) {
      const witness = signedBeyond ? 'a signed checkpoint covers' : 'a pack holds the bodies of';
      const message = `${entriesText(entries, beyond - 1)} are missing at the end: ${witness} them`;
      this.#findings.add({ code: 'tail-missing', shard: this.#shard, from: entries, to: beyond - 1, message });
    }
    for (const { size } of this.#outside) {
      const message =
        `${entriesText(entries, size - 1)} are missing: the checkpoint from outside covers ${size} entries, the shard has ` +
        `${entries}. The end was cut off, or an older copy was put back`;
      this.#findings.add({ code: 'rolled-back', shard: this.#shard, from: entries, to: size - 1, message });
      this.#findings.unchecked(
        `shard ${this.#shard}: whether the ${entries} entries that are there are the first ones under the outside checkpoint of size ${size}`,
      );
    }
    this.#reportPending();
    if (this.otherKey > 1) {
      this.#findings.note(`shard ${this.#shard}: ${this.otherKey} checkpoints in all are signed by another key`);
    }
    if (this.#uncheckable > 0) {
      this.#findings.unchecked(
        `shard ${this.#shard}: ${this.#uncheckable} checkpoints after size ${this.signedSize}: entries before them are missing or in ` +
          'doubt, so that the root cannot be computed',
      );
    }
  }

  #pull(): CheckpointRow | undefined {
    const { value, done } = this.#rows.next();
    return done === true ? undefined : value;
  }

  #open(row: CheckpointRow): Signed | undefined {
    this.read += 1;
    const at = { shard: this.#shard, checkpoint: row.size };
    const report = (code: FindingCode, why: string): undefined => {
      this.#findings.add({ code, ...at, message: `the checkpoint of size ${row.size} ${why}` });
      return undefined;
    };
    if (row.note === undefined) return report('checkpoint-altered', 'is not a note');
    const verdict = this.#judge.judge(row.note);
    if (verdict.kind === 'other-key') {
      this.otherKey += 1;
      return this.otherKey > 1
        ? undefined
        : report('checkpoint-other-key', `is signed by another key: ${verdict.message}`);
    }
    if (verdict.kind === 'altered') return report('checkpoint-altered', `was altered: ${verdict.message}`);
    if (this.vkey !== undefined && verdict.vkey !== this.vkey && verdict.key === this.key) {
      report(
        'checkpoint-other-key',
        `is signed by ${verdict.vkey}, those before it by ${this.vkey}: a shard has one key`,
      );
    }
    const expected = `${verdict.key}/${this.#shard}`;
    if (verdict.origin !== expected && !this.#origins.has(verdict.origin)) {
      const sameLog = /^(.*)\/\d+$/.exec(verdict.origin)?.[1] === verdict.key;
      if (sameLog) report('shard-replaced', `is of ${verdict.origin}: this file stands in the place of ${expected}`);
      else report('log-mixed', `is of ${verdict.origin}, which is not a shard of the log ${verdict.key}`);
    } else if (this.origin !== undefined && verdict.origin !== this.origin && !this.#origins.has(verdict.origin)) {
      report('log-mixed', `is of ${verdict.origin}, those before it of ${this.origin}`);
    }
    if (this.#origins.size < MAX_PENDING) this.#origins.add(verdict.origin);
    this.origin ??= verdict.origin;
    this.key ??= verdict.key;
    this.vkey ??= verdict.vkey;
    if (verdict.size !== row.size) {
      return report('checkpoint-altered', `holds a note about ${verdict.size} entries: its row was changed`);
    }
    return { size: verdict.size, root: verdict.root, outside: false };
  }

  #compare(signed: Signed, treeSize: number): void {
    if (signed.size !== treeSize || this.tree.lost) {
      this.#uncheckable += 1;
      return;
    }
    const suspects = [...this.tree.suspects];
    if (!this.tree.resolve(signed.root)) {
      // A leaf that is known to be wrong, or missing, and for which nothing tells what it was: no root can fit.
      if (
        suspects.some(({ own, problem, claims }) => claims.length === 0 && (own === undefined || problem !== undefined))
      ) {
        this.#uncheckable += 1;
        return;
      }
      this.#pendingCount += 1;
      if (this.#pending.length < MAX_PENDING) this.#pending.push(signed);
      return;
    }
    this.#reportSuspects(suspects);
    for (const { size, outside } of this.#pending) this.#reportFork(size, outside, signed);
    this.#pending = [];
    this.#pendingCount = 0;
    this.signedSize = signed.size;
    this.root = signed.root;
    if (signed.outside) this.outsideSize = signed.size;
    else this.matched += 1;
  }

  /** The root decided which bytes the log had: what is there instead was changed, by name. */
  #reportSuspects(suspects: readonly Suspect[]): void {
    const done = new Set<Suspect>();
    const shard = this.#shard;
    for (const suspect of suspects) {
      const { seq, own, truth } = suspect;
      if (done.has(suspect) || (own === undefined && suspect.problem === undefined)) continue;
      if (own === truth) {
        if (suspect.problem === undefined) continue;
        const message = `entry ${seq} ${suspect.problem}, although the log signed it as it is`;
        this.#findings.add({ code: 'leaf-malformed', shard, from: seq, to: seq, message });
        continue;
      }
      const other = suspects.find((one) => one !== suspect && one.own === truth && one.truth === own);
      if (other !== undefined) {
        done.add(other);
        const message = `entries ${seq} and ${other.seq} were swapped`;
        this.#findings.add({ code: 'entries-swapped', shard, from: seq, to: other.seq, message });
        continue;
      }
      const why = suspect.problem === undefined ? '' : ` (it ${suspect.problem})`;
      const message = `the leaf of entry ${seq} was changed${why}: only another leaf there gives the signed root`;
      this.#findings.add({ code: 'leaf-changed', shard, from: seq, to: seq, message });
    }
  }

  #reportFork(size: number, outside: boolean, fits: Signed): void {
    const shard = this.#shard;
    const checkpoint = size;
    const to = size - 1;
    if (outside) {
      const from = this.outsideSize;
      const message =
        `the checkpoint from outside is of another history: ${entriesText(from, to)} are not, or not all, what was signed ` +
        `then. The key's holder rewrote the ledger, or the log was forked`;
      this.#findings.add({ code: 'outside-fork', shard, from, to, checkpoint, message });
      return;
    }
    const message =
      `the checkpoint of size ${size} is properly signed but not of these entries, which the one of size ${fits.size} fits: ` +
      'the key signed two histories';
    this.#findings.add({ code: 'checkpoint-fork', shard, from: this.signedSize, to, checkpoint, message });
  }

  #reportPending(): void {
    const shard = this.#shard;
    const inside = this.#pending.find((one) => !one.outside);
    if (inside !== undefined) {
      const from = this.signedSize;
      const to = inside.size - 1;
      const before = from === 0 ? 'no checkpoint before fits' : `the checkpoint of size ${from} is the last that fits`;
      if (from === to) {
        const message = `the leaf of entry ${from} was changed: ${before}, the one of size ${inside.size} does not`;
        this.#findings.add({ code: 'leaf-changed', shard, from, to, checkpoint: inside.size, message });
      }
      const more = this.#pendingCount > 1 ? `, nor do ${this.#pendingCount - 1} after it` : '';
      const message =
        `${entriesText(from, to)}: something among them was changed, and no single leaf explains it: ${before}, ` +
        `the one of size ${inside.size} does not${more}`;
      if (from < to) this.#findings.add({ code: 'history-changed', shard, from, to, checkpoint: inside.size, message });
      if (this.#pendingCount > 1) {
        this.#findings.unchecked(
          `shard ${shard}: entries after ${to} against their checkpoints: every root after the change differs, whatever follows`,
        );
      }
    }
    for (const { size, outside } of this.#pending) {
      if (!outside) continue;
      const from = Math.max(this.outsideSize, inside === undefined ? 0 : Math.min(this.signedSize, size - 1));
      const message =
        `the checkpoint from outside is of another history: ${entriesText(from, size - 1)} are not, or not all, what was ` +
        `signed then. The key's holder rewrote the ledger, the log was forked, or an older copy was put back and written on`;
      this.#findings.add({ code: 'outside-fork', shard, from, to: size - 1, checkpoint: size, message });
    }
  }
}
