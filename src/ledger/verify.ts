// Verifies a ledger with nothing but its files, verifying keys and, where there is one, a checkpoint kept elsewhere. It shares
// no code with the writer, and takes every byte in the files for an attacker's.
import fs from 'node:fs';
import path from 'node:path';
import { SealgateError } from '../lib/errors.ts';
import { keyLabel } from '../tlog/note.ts';
import type { OutsideCheckpoint } from './verify-checkpoints.ts';
import { ShardDamage, ShardFile } from './verify-file.ts';
import { findRotations } from './verify-find-rotations.ts';
import { type ShardBegin, type VerifiedShard, verifyLink } from './verify-link.ts';
import { NoteJudge } from './verify-note.ts';
import { type Begun, verifyRemoved } from './verify-removal.ts';
import { EXIT_CODES, Findings, type ShardReport, type VerifyReport, type VerifyStatus } from './verify-report.ts';
import { identical } from './verify-rotation.ts';
import { schemaProblems } from './verify-schema.ts';
import { type ShardOptions, verifyShard } from './verify-shard.ts';

export interface VerifyOptions {
  /** Verifying keys of the log, as vkeys; at least one. */
  readonly keys: readonly string[];
  /** Checkpoints kept outside the ledger: the text of whole notes. */
  readonly checkpoints?: readonly string[];
  /** Only this shard. */
  readonly shard?: number;
  /** Bodies are checked only of entries `from` to `to` (inclusive); leaves, chain and tree always from the first. */
  readonly from?: number;
  readonly to?: number;
  /** What the caller knows that was not checked, for the report's list. */
  readonly unchecked?: readonly string[];
  readonly onProgress?: (progress: VerifyProgress) => void;
}

export interface VerifyProgress {
  readonly shard: number;
  /** Entries of the shard so far, and in all. */
  readonly done: number;
  readonly total: number;
}

/** Where a ledger is: its shards' files by number. */
export interface LedgerFiles {
  /** The folder that holds the shards. */
  readonly folder: string;
  readonly shards: ReadonlyMap<number, string>;
  /** Whether the path was one shard's file. */
  readonly single: boolean;
  /** Whether that file does not have a shard's name, so that its number here, 0, means nothing. */
  readonly unnamed: boolean;
  /** Files in the folder that look like shards and are none. */
  readonly strays: readonly string[];
}

const SHARD_FILE = /^shard-(\d{6,15})\.sqlite$/;

/**
 * Finds the shards under a path: a ledger folder, a data folder with `ledger/` in it, or one shard's file.
 * @throws SealgateError LEDGER_NOT_FOUND
 */
export function findLedger(given: string): LedgerFiles {
  const stat = fs.statSync(given, { throwIfNoEntry: false });
  if (stat === undefined) throw new SealgateError('LEDGER_NOT_FOUND', `${given} does not exist`);
  if (stat.isFile()) {
    const number = shardNumber(path.basename(given));
    const shards = new Map([[number ?? 0, given]]);
    return { folder: path.dirname(given), shards, single: true, unnamed: number === undefined, strays: [] };
  }
  for (const folder of [given, path.join(given, 'ledger')]) {
    if (!(fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false)) continue;
    const names = fs.readdirSync(folder).filter((name) => name.startsWith('shard-'));
    const shards = new Map<number, string>();
    const strays: string[] = [];
    for (const name of names.sort()) {
      const number = shardNumber(name);
      if (number !== undefined) shards.set(number, path.join(folder, name));
      else if (!/\.sqlite-(wal|shm|journal)$/.test(name)) strays.push(name);
    }
    if (shards.size > 0) return { folder, shards, single: false, unnamed: false, strays };
  }
  throw new SealgateError(
    'LEDGER_NOT_FOUND',
    `${given} holds no ledger: neither it nor a folder ledger/ in it has shard files`,
  );
}

function shardNumber(name: string): number | undefined {
  const digits = SHARD_FILE.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  return digits === String(number).padStart(6, '0') ? number : undefined;
}

/**
 * Verifies the ledger under `given` (see findLedger) as it is at this moment; a writer may go on meanwhile.
 * @throws SealgateError LEDGER_NOT_FOUND, LEDGER_NOT_A_LEDGER, LEDGER_FORMAT_NEWER, KEY_INVALID, CHECKPOINT_INVALID, and
 *   LEDGER_WRONG_KEY when an outside checkpoint is signed by none of the keys
 */
export function verifyLedger(given: string, options: VerifyOptions): VerifyReport {
  // Before anything is opened, so that a key that is none is said first.
  new NoteJudge(options.keys);
  const found = findLedger(given);
  const judge = new NoteJudge(options.keys, findRotations(found.shards, found.unnamed));
  const ledger = numbered(found, judge);
  const outside = readOutside(judge, options.checkpoints ?? []);
  const findings = new Findings();
  for (const text of options.unchecked ?? []) findings.unchecked(text);
  for (const name of ledger.strays) findings.note(`${name} is not a shard of this format and was left out`);

  const wanted = wantedShards(ledger, options.shard, outside, findings);
  const shards: ShardReport[] = [];
  const together = isWhole(ledger, options);
  const begun: Begun[] = [];
  let previous: VerifiedShard | undefined;
  let otherKey = 0;
  for (const number of wanted) {
    const file = ledger.shards.get(number);
    if (file === undefined) continue;
    const before = findings.countOf('checkpoint-other-key');
    const tampered = findings.count;
    const verified = verifyFile(number, file, ledger.single, options, {
      judge,
      findings,
      outside: outside.get(number) ?? [],
    });
    const report = verified?.report;
    if (verified !== undefined) {
      shards.push(verified.report);
      begun.push({ shard: number, begin: verified.begin });
      const before = previous?.report.shard === number - 1 ? previous : undefined;
      if (number > 0 && together) verifyLink(verified, before, judge, findings);
    }
    previous = verified === undefined ? undefined : { ...verified, sound: findings.count === tampered };
    if (findings.countOf('checkpoint-other-key') > before && report?.origin === undefined) otherKey += 1;
  }
  if (together) verifyRemoved(wanted[0] ?? 0, begun, outside, options, findings);
  remarkEras(judge, findings);
  remarkShards(shards, findings);
  remarkLimits(shards, outside, findings, options);

  // A ledger none of whose checkpoints is ours is another's, not a changed one.
  const foreign = otherKey > 0 && shards.every((shard) => shard.origin === undefined);
  const status = statusOf(findings, foreign);
  return {
    report: 1,
    path: given,
    status,
    exitCode: EXIT_CODES[status],
    shards,
    findings: findings.list(),
    findingCount: findings.count,
    unchecked: findings.uncheckedList,
    notes: findings.notesList,
    unsignedTail: shards.reduce((sum, shard) => sum + shard.unsignedTail, 0),
  };
}

/** Whether what is verified is a ledger, and not one shard of it. */
function isWhole({ single }: LedgerFiles, { shard }: VerifyOptions): boolean {
  return !single && shard === undefined;
}

function statusOf(findings: Findings, foreign: boolean): VerifyStatus {
  const tampered = findings.tamperedCount - (foreign ? findings.countOf('checkpoint-other-key') : 0);
  if (tampered > 0) return 'tampered';
  if (foreign) return 'wrong-key';
  return findings.incomplete ? 'incomplete' : 'whole';
}

/** The same with the number that the signed checkpoints of a file without a shard's name give it. */
function numbered(ledger: LedgerFiles, judge: NoteJudge): LedgerFiles {
  const [file] = ledger.shards.values();
  if (!ledger.unnamed || file === undefined) return ledger;
  return { ...ledger, shards: new Map([[signedNumber(file, judge) ?? 0, file]]) };
}

/** The shard that the first of its signed checkpoints is of; when none is signed by a given key, the one that it says it is. */
function signedNumber(file: string, judge: NoteJudge): number | undefined {
  let shard: ShardFile | undefined;
  try {
    shard = ShardFile.open(file);
    for (const { note } of shard.checkpoints(shard.bounds().checkpoint + 1, () => undefined)) {
      const verdict = note === undefined ? undefined : judge.judge(note);
      if (verdict?.kind === 'signed') return shardOf(verdict.origin, verdict.key);
    }
    return countOf(shard.meta().get('shard'));
  } catch (thrown) {
    if (thrown instanceof ShardDamage) return undefined; // said when it is verified
    throw thrown;
  } finally {
    shard?.close();
  }
}

/** The number in the origin of a shard of the log; undefined when it is none. */
function shardOf(origin: string, log: string): number | undefined {
  return origin.startsWith(`${log}/`) ? countOf(origin.slice(log.length + 1)) : undefined;
}

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
}

/** "0 to 3, 5, 6" of ascending numbers. */
export function numbersText(numbers: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last?.to === number - 1) last.to = number;
    else ranges.push({ from: number, to: number });
  }
  return ranges
    .map(({ from, to }) => (from === to ? `${from}` : `${from}${to === from + 1 ? ', ' : ' to '}${to}`))
    .join(', ');
}

/** The outside checkpoints by shard. */
function readOutside(judge: NoteJudge, notes: readonly string[]): Map<number, OutsideCheckpoint[]> {
  const byShard = new Map<number, OutsideCheckpoint[]>();
  for (const note of notes) {
    const verdict = judge.judge(note);
    if (verdict.kind === 'other-key') {
      throw new SealgateError(
        'LEDGER_WRONG_KEY',
        `the checkpoint from outside is signed by another key: ${verdict.message}`,
      );
    }
    if (verdict.kind === 'altered') {
      throw new SealgateError('CHECKPOINT_INVALID', `the checkpoint from outside cannot be used: ${verdict.message}`);
    }
    const number = shardOf(verdict.origin, verdict.key);
    if (number === undefined) {
      throw new SealgateError(
        'CHECKPOINT_INVALID',
        `the checkpoint from outside is of ${verdict.origin}, which is not a shard of ${verdict.key}`,
      );
    }
    const list = byShard.get(number) ?? [];
    list.push({ size: verdict.size, root: verdict.root });
    byShard.set(number, list);
  }
  return byShard;
}

/** The numbers of the shards to verify, ascending; those that should be there and are not become findings. */
function wantedShards(
  ledger: LedgerFiles,
  only: number | undefined,
  outside: ReadonlyMap<number, unknown>,
  findings: Findings,
): number[] {
  const missing = (shard: number, why: string): void =>
    findings.add({ code: 'shard-missing', shard, message: `shard ${shard} is not there: ${why}` });
  const present = [...ledger.shards.keys()].sort((a, b) => a - b);
  if (only !== undefined) {
    findings.unchecked(`shards other than ${only}: only that one was asked for`);
    if (ledger.shards.has(only)) return [only];
    throw new SealgateError(
      'LEDGER_NOT_FOUND',
      `there is no shard ${only} in ${ledger.folder}, only ${numbersText(present)}`,
    );
  }
  if (ledger.single) {
    findings.unchecked(
      'other shards: the path is one shard, so that nothing is said about what came before or after it',
    );
    return present;
  }
  const last = present.at(-1) ?? 0;
  // What is missing before the first may have been removed: verifyRemoved decides.
  let next = present[0] ?? 0;
  for (const number of present) {
    if (number > next) {
      const message = `${number - next === 1 ? `shard ${next} is` : `shards ${next} to ${number - 1} are`} not there, but shard ${number} is`;
      findings.add({ code: 'shard-missing', shard: next, message });
    }
    next = number + 1;
  }
  for (const number of outside.keys()) if (number > last) missing(number, 'a checkpoint from outside is of it');
  return present;
}

function verifyFile(
  shard: number,
  file: string,
  single: boolean,
  options: VerifyOptions,
  shared: Pick<ShardOptions, 'judge' | 'findings' | 'outside'>,
): Omit<VerifiedShard, 'sound'> | undefined {
  const { findings } = shared;
  let opened: ShardFile | undefined;
  try {
    opened = ShardFile.open(file);
    if (opened.copied) {
      findings.note(
        `shard ${shard} was verified in a temporary copy, because SQLite must create files beside it and could not`,
      );
    }
    const bounds = opened.bounds();
    const { onProgress, from = 0, to = Number.MAX_SAFE_INTEGER } = options;
    let begin: ShardBegin = { kind: undefined, body: undefined, lastKind: undefined, removals: [] };
    const report = verifyShard(shard, opened, bounds, {
      ...shared,
      onBegin: (found) => {
        begin = found;
      },
      from,
      to,
      ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress({ shard, done, total }) }),
    });
    for (const problem of opened.damage()) {
      findings.add({ code: 'database-damaged', shard, message: `SQLite finds the file damaged: ${problem}` });
    }
    for (const message of schemaProblems(opened.objects())) findings.add({ code: 'schema-changed', shard, message });
    return { report, begin };
  } catch (thrown) {
    if (!(thrown instanceof ShardDamage)) throw thrown;
    if (single && shardNumber(path.basename(file)) === undefined) {
      throw notALedger(file, thrown);
    }
    findings.add({ code: 'database-damaged', shard, message: `${file} cannot be read as a shard: ${thrown.message}` });
    findings.unchecked(`shard ${shard}, beyond the point where reading failed`);
    return undefined;
  } finally {
    opened?.close();
  }
}

function remarkEras({ eras, keys }: NoteJudge, findings: Findings): void {
  for (const { from, key } of eras) {
    if (from === 0 || eras.every((era) => era.to !== from)) continue;
    const given = keys.some((one) => identical(one, key)) ? '' : ', which was not given but signed the rotation';
    findings.note(`from shard ${from} on the log is signed by ${keyLabel(key)}${given}`);
  }
}

/** One ledger is one log: all its shards are signed under one name. */
function remarkShards(shards: readonly ShardReport[], findings: Findings): void {
  const first = shards.find((shard) => shard.key !== undefined);
  for (const { shard, key, origin } of shards) {
    if (key === undefined || first === undefined || key === first.key) continue;
    const message = `shard ${shard} is ${origin}, of another log than shard ${first.shard}, ${first.origin}`;
    findings.add({ code: 'log-mixed', shard, message });
  }
}

function remarkLimits(
  shards: readonly ShardReport[],
  outside: ReadonlyMap<number, readonly OutsideCheckpoint[]>,
  findings: Findings,
  options: VerifyOptions,
): void {
  const last = shards.at(-1);
  for (const { shard, entries, unsignedTail } of shards) {
    if (unsignedTail > 0) {
      const which = unsignedTail === 1 ? 'the last entry is' : `the last ${unsignedTail} entries are`;
      findings.note(
        `shard ${shard}: ${which} not signed: the chain holds them together, no signature vouches for them`,
      );
    }
    const known = Math.max(0, ...(outside.get(shard) ?? []).map(({ size }) => size));
    const what = 'whether whoever holds the signing key wrote it anew';
    const tail =
      shard === last?.shard ? 'whether the newest entries were cut off or an older copy was put back, and ' : '';
    if (known === 0)
      findings.unchecked(`shard ${shard}: ${tail}${what}: that takes a checkpoint kept elsewhere (--checkpoint)`);
    else if (known < entries)
      findings.unchecked(`shard ${shard}, after entry ${known - 1}: ${tail}${what}: the outside checkpoint is older`);
  }
  if (options.from !== undefined || options.to !== undefined) {
    findings.unchecked(
      `bodies of entries other than ${options.from ?? 0} to ${options.to ?? 'the last'}: only those were asked for`,
    );
  }
}

function notALedger(file: string, cause: ShardDamage): SealgateError {
  return new SealgateError('LEDGER_NOT_A_LEDGER', `${file} is not a ledger shard: ${cause.message}`, { cause });
}
