// Verifies a mirror or an export with nothing but its objects and verifying keys. Whoever could write to the store is taken for
// an attacker: of every object all versions are looked at, and what counts is what fits the signatures.

import { numbersText } from '../ledger/verify.ts';
import type { OutsideCheckpoint } from '../ledger/verify-checkpoints.ts';
import { type ShardBegin, type VerifiedShard, verifyLink } from '../ledger/verify-link.ts';
import { NoteJudge } from '../ledger/verify-note.ts';
import {
  EXIT_CODES,
  Findings,
  type ShardReport,
  type VerifyReport,
  type VerifyStatus,
} from '../ledger/verify-report.ts';
import { SealgateError } from '../lib/errors.ts';
import type { LedgerComparison } from './compare.ts';
import { findMirrorRotations } from './find-rotations.ts';
import { isExport, type ListedLog, listExport, listLog, nothingThere, type Strangers } from './list-shards.ts';
import { LockCheck, type LockExpectation } from './lock-check.ts';
import { type EntrySink, type ListedShard, type ResumePoint, ShardWalk } from './shard-walk.ts';
import type { ObjectStore } from './stores/store.ts';

export interface VerifyMirrorOptions {
  /** Verifying keys, as vkeys; at least one. All logs that they are named for are verified. */
  readonly keys: readonly string[];
  /** Checkpoints kept elsewhere: the text of whole notes. */
  readonly checkpoints?: readonly string[];
  /** Only this shard. */
  readonly shard?: number;
  /** Locks that every object has to have. */
  readonly locks?: LockExpectation;
  /** Bundles of 256 entries that are read ahead; the default is 8. */
  readonly parallel?: number;
  /** What the caller knows that was not checked. */
  readonly unchecked?: readonly string[];
  /** Milliseconds since the epoch, to tell which locks have ended. */
  readonly nowMs: number;
  /** Takes what is proven of a shard. */
  readonly sink?: (shard: ListedShard) => { readonly sink: EntrySink; readonly resume?: ResumePoint };
  /** A ledger to hold against what is proven. */
  readonly compare?: LedgerComparison;
  readonly onProgress?: (progress: { shard: number; done: number; total: number }) => void;
}

export const DEFAULT_PARALLEL = 8;

interface Run {
  readonly judge: NoteJudge;
  readonly findings: Findings;
  readonly outside: ReadonlyMap<string, readonly OutsideCheckpoint[]>;
  readonly options: VerifyMirrorOptions;
  readonly locks: LockCheck | undefined;
  readonly shards: ShardReport[];
  otherKey: number;
  lost: boolean;
}

/**
 * Verifies what is in a store: a mirror, whose shards lie under their origins, or an export at its top.
 * @throws SealgateError LEDGER_NOT_FOUND, KEY_INVALID, CHECKPOINT_INVALID, LEDGER_WRONG_KEY as verifyLedger, and MIRROR_… when the
 *   store does not answer
 */
export async function verifyMirror(store: ObjectStore, options: VerifyMirrorOptions): Promise<VerifyReport> {
  const names = [...new Set(new NoteJudge(options.keys).keys.map(({ name }) => name))];
  const atTop = await isExport(store);
  const logs = atTop ? [] : await listLogs(store, names, options.shard);
  const listed = atTop ? [await exported(store, options.keys)] : logs.flatMap(({ shards }) => shards);
  if (listed.length === 0) throw nothingThere(store.url, names);
  const judge = new NoteJudge(options.keys, await findMirrorRotations(listed, new NoteJudge(options.keys).keys));
  const findings = new Findings();
  for (const text of options.unchecked ?? []) findings.unchecked(text);
  const run: Run = {
    judge,
    findings,
    outside: readOutside(judge, options.checkpoints ?? []),
    options,
    locks: options.locks === undefined ? undefined : new LockCheck(store, options.locks, options.nowMs),
    shards: [],
    otherKey: 0,
    lost: false,
  };
  if (atTop) {
    for (const shard of listed) run.lost = (await verifyOne(run, shard)).lost || run.lost;
    findings.unchecked(
      'other shards: what is there is one of them, so that nothing is said about what came before or after it',
    );
  } else {
    for (const log of logs) await verifyLog(run, log);
  }
  options.compare?.finish(options.shard, findings);
  remark(run, listed);
  return reportOf(store.url, run);
}

async function listLogs(store: ObjectStore, names: readonly string[], only: number | undefined): Promise<ListedLog[]> {
  const logs: ListedLog[] = [];
  for (const name of names) logs.push(await listLog(store, name, only));
  return logs;
}

/** The shard at the top of a store; its number is what its checkpoint says, if a key signed that. */
async function exported(store: ObjectStore, keys: readonly string[]): Promise<ListedShard & { strangers: Strangers }> {
  const judge = new NoteJudge(keys);
  const note = await store.get('checkpoint', { maxBytes: 65_536 }).catch((error: unknown) => {
    if (error instanceof SealgateError && error.code === 'MIRROR_OBJECT_TOO_LARGE') return undefined;
    throw error;
  });
  const verdict = note === undefined ? undefined : judge.judge(note);
  const number = verdict?.kind === 'signed' ? /\/(0|[1-9]\d{0,14})$/.exec(verdict.origin)?.[1] : undefined;
  return await listExport(store, Number(number ?? 0));
}

async function verifyLog(run: Run, { log, shards }: ListedLog): Promise<void> {
  const { findings, options } = run;
  const missing = (shard: number, message: string): void =>
    findings.add({ code: 'shard-missing', shard, history: 'lost', message });
  if (options.shard !== undefined) {
    findings.unchecked(`shards of ${log} other than ${options.shard}: only that one was asked for`);
    if (shards.length === 0) missing(options.shard, `shard ${options.shard} of ${log} is not there: it was asked for`);
  }
  let next = options.shard ?? 0;
  let previous: VerifiedShard | undefined;
  let unsigned: number[] = [];
  let lost = false;
  for (const listed of shards) {
    const tampered = findings.count;
    const verified = await verifyOne(run, listed);
    const { number } = listed;
    // Whoever may write to the store can make up a shard that comes next: it is the log's when something says so, or a later one does.
    if (verified.report.origin === undefined && options.shard === undefined && outsideOf(run, listed).length === 0) {
      unsigned.push(number);
      lost ||= verified.lost;
      continue;
    }
    run.lost ||= lost || verified.lost;
    for (const [from, which] of gapsBetween(next, number, unsigned)) {
      missing(from, `${which} not there, but shard ${number} of ${log} is`);
    }
    unsigned = [];
    next = number + 1;
    if (number > 0 && options.shard === undefined) {
      verifyLink(verified, previous?.report.shard === number - 1 ? previous : undefined, run.judge, findings);
    }
    previous = { ...verified, sound: findings.count === tampered };
  }
  if (next === 0) run.lost ||= lost;
  else remarkUnsigned(log, unsigned, next - 1, findings);
  for (const origin of run.outside.keys()) {
    const number = Number(origin.slice(log.length + 1));
    if (!origin.startsWith(`${log}/`) || options.shard !== undefined || number < next) continue;
    missing(number, `shard ${number} of ${log} is not there: a checkpoint from outside is of it`);
  }
}

function remarkUnsigned(log: string, unsigned: readonly number[], last: number, findings: Findings): void {
  if (unsigned.length === 0) return;
  const which = numbersText(unsigned).slice(0, 100);
  findings.note(
    `${log}: nothing under shard ${which} is signed by the log, which ends with shard ${last}: it is somebody else's and not counted`,
  );
}

/** The numbers from `next` to before `end` that are not among `there`, in ranges: the first of each, and words for all of it. */
function gapsBetween(next: number, end: number, there: readonly number[]): (readonly [from: number, which: string])[] {
  const bounds = [next - 1, ...there, end];
  return bounds.flatMap((before, i) => {
    const [from, to] = [before + 1, (bounds[i + 1] ?? before) - 1];
    if (to < from) return [];
    return [[from, to === from ? `shard ${from} is` : `shards ${from} to ${to} are`] as const];
  });
}

async function verifyOne(run: Run, listed: ListedShard): Promise<Omit<VerifiedShard, 'sound'> & { lost: boolean }> {
  const { findings, options, judge } = run;
  const before = findings.countOf('checkpoint-other-key');
  let begin: ShardBegin = { kind: undefined, body: undefined, lastKind: undefined, removals: [] };
  const { onProgress } = options;
  const walk = new ShardWalk(listed, {
    judge,
    findings,
    outside: outsideOf(run, listed),
    locks: run.locks,
    parallel: options.parallel ?? DEFAULT_PARALLEL,
    ...(options.sink?.(listed) ?? comparing(options.compare?.begin(listed.number))),
    onBegin: (found) => {
      begin = found;
    },
    ...(onProgress === undefined
      ? {}
      : { onProgress: (done, total) => onProgress({ shard: listed.number, done, total }) }),
  });
  const report = await walk.run();
  options.compare?.end(report, findings);
  run.shards.push(report);
  if (report.origin === undefined && findings.countOf('checkpoint-other-key') > before) run.otherKey += 1;
  return { report, begin, lost: walk.lost };
}

function comparing(sink: EntrySink | undefined): { sink?: EntrySink } {
  return sink === undefined ? {} : { sink };
}

function outsideOf(run: Run, { origin, number }: ListedShard): readonly OutsideCheckpoint[] {
  if (origin !== undefined) return run.outside.get(origin) ?? [];
  return run.judge.keys.flatMap(({ name }) => run.outside.get(`${name}/${number}`) ?? []);
}

/** The outside checkpoints by origin. */
function readOutside(judge: NoteJudge, notes: readonly string[]): Map<string, OutsideCheckpoint[]> {
  const found = new Map<string, OutsideCheckpoint[]>();
  for (const note of notes) {
    const verdict = judge.judge(note);
    if (verdict.kind === 'other-key') {
      const message = `the checkpoint from outside is signed by another key: ${verdict.message}`;
      throw new SealgateError('LEDGER_WRONG_KEY', message);
    }
    if (verdict.kind === 'altered') {
      throw new SealgateError('CHECKPOINT_INVALID', `the checkpoint from outside cannot be used: ${verdict.message}`);
    }
    const { origin, key, size, root } = verdict;
    if (!origin.startsWith(`${key}/`) || !/^(0|[1-9]\d{0,14})$/.test(origin.slice(key.length + 1))) {
      const message = `the checkpoint from outside is of ${origin}, which is not a shard of ${key}`;
      throw new SealgateError('CHECKPOINT_INVALID', message);
    }
    found.set(origin, [...(found.get(origin) ?? []), { size, root }]);
  }
  return found;
}

function remark(run: Run, listed: readonly (ListedShard & { readonly strangers: Strangers })[]): void {
  const { findings, options } = run;
  for (const shard of listed) {
    const { count, first } = shard.strangers;
    if (count > 0) {
      const others = count === 1 ? '' : ` and ${count - 1} others`;
      findings.note(`shard ${shard.number}: ${first}${others} are not part of the layout and were left out`);
    }
    if (!shard.mirrored) findings.unchecked(`shard ${shard.number}: bodies: they are not in an export`);
    const { signed } = run.shards.find((one) => one.origin === shard.origin || !shard.mirrored) ?? { signed: 0 };
    const known = Math.max(0, ...outsideOf(run, shard).map(({ size }) => size));
    if (known === 0) {
      findings.unchecked(
        `shard ${shard.number}: whether the newest entries were cut off, and whether whoever holds the signing key wrote it anew: that takes a checkpoint kept elsewhere (--checkpoint)`,
      );
    } else if (known < signed) {
      findings.unchecked(
        `shard ${shard.number}, after entry ${known - 1}: whether the newest entries were cut off, and whether whoever holds the signing key wrote it anew: the outside checkpoint is older`,
      );
    }
  }
  if (options.locks === undefined && listed.some(({ mirrored }) => mirrored)) {
    findings.unchecked('whether the objects are locked: say how they should be with --retention');
  }
}

function reportOf(url: string, run: Run): VerifyReport {
  const { findings, shards } = run;
  const foreign = run.otherKey > 0 && shards.every(({ origin }) => origin === undefined);
  const tampered = findings.tamperedCount - (foreign ? findings.countOf('checkpoint-other-key') : 0);
  let status: VerifyStatus = findings.incomplete ? 'incomplete' : 'whole';
  if (foreign) status = 'wrong-key';
  if (tampered > 0) status = 'tampered';
  const lost = run.lost || findings.countOf('shard-missing') > 0;
  return {
    report: 1,
    path: url,
    status,
    exitCode: EXIT_CODES[status],
    shards,
    findings: findings.list(),
    findingCount: findings.count,
    unchecked: findings.uncheckedList,
    notes: findings.notesList,
    unsignedTail: 0,
    history: lost ? 'lost' : 'whole',
  };
}
