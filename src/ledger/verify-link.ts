// Holds a shard's link, its first entry, against the end of the shard before.
import { keyLabel } from '../tlog/note.ts';
import { formatVkey } from '../tlog/vkey.ts';
import type { NoteJudge } from './verify-note.ts';
import { entriesText, type Findings, type ShardReport } from './verify-report.ts';
import { openRotation } from './verify-rotation.ts';

/** Entry 0 of a shard, as far as it could be read: its kind, and its body when it is what the leaf commits to. */
export interface ShardBegin {
  readonly kind: string | undefined;
  readonly body: Buffer | undefined;
  /** Kind of the shard's last entry. */
  readonly lastKind: string | undefined;
  /** Bodies of its newest signed `removal` entries. */
  readonly removals: readonly { readonly seq: number; readonly body: Buffer }[];
}

/** A shard, verified. `sound` when nothing was found wrong with it. */
export interface VerifiedShard {
  readonly report: ShardReport;
  readonly begin: ShardBegin;
  readonly sound: boolean;
}

/** Verifies that a shard, number 1 or later, continues the one `before` it, which is undefined when it could not be read. */
export function verifyLink(
  { report, begin }: Omit<VerifiedShard, 'sound'>,
  before: VerifiedShard | undefined,
  judge: NoteJudge,
  findings: Findings,
): void {
  const { shard, key } = report;
  const previous = shard - 1;
  // Without a signature of ours there is nothing to hold anything against.
  if (begin.kind !== 'link' || key === undefined) return;
  if (begin.body === undefined) {
    findings.unchecked(`shard ${shard}: whether it continues shard ${previous}: the body of its link was not checked`);
    return;
  }
  const broken = (why: string): void =>
    findings.add({ code: 'link-broken', shard, from: 0, to: 0, message: `the link of shard ${shard} ${why}` });
  const said = readLink(begin.body);
  if (said === undefined || said.shard !== previous) {
    broken(`does not name shard ${previous}`);
    return;
  }
  const wrong = wrongRotation(said.rotation, report, before);
  if (wrong !== undefined) broken(wrong);
  const verdict = judge.judge(said.checkpoint);
  if (verdict.kind !== 'signed') {
    broken(`holds no checkpoint of a given key: ${verdict.message}`);
    return;
  }
  if (verdict.origin !== `${key}/${previous}` || verdict.size !== said.size) {
    broken(`holds a checkpoint of ${verdict.origin} and size ${verdict.size}, which is not what it says it is`);
    return;
  }
  // What is not there, or of another log, is reported as that.
  if (before === undefined || (before.report.key !== undefined && before.report.key !== key)) return;
  const { entries, signed, root } = before.report;
  if (entries < said.size) {
    const message =
      `${entriesText(entries, said.size - 1)} of shard ${previous} are missing: shard ${shard} says that it ended with ${said.size}. ` +
      'The end was cut off, or an older copy was put back';
    const at = { shard: previous, from: entries, to: said.size - 1, checkpoint: said.size };
    findings.add({ code: 'rolled-back', ...at, message });
    return;
  }
  if (entries > said.size) {
    const message = `shard ${previous} was written on after it was sealed: shard ${shard} says that it ended with ${said.size} entries`;
    findings.add({ code: 'link-broken', shard: previous, from: said.size, to: entries - 1, message });
    return;
  }
  if (!before.sound) {
    findings.unchecked(`shard ${shard}: whether it continues shard ${previous}, which is not whole`);
    return;
  }
  if (signed === said.size && root === Buffer.from(verdict.root, 'hex').toString('base64')) return;
  const why =
    signed === said.size
      ? 'holds other entries than the ones that it ended with: it was replaced, or the key signed two histories'
      : `has lost its final checkpoint, of size ${said.size}`;
  const message = `shard ${previous} ${why}; shard ${shard} carries that checkpoint`;
  findings.add({ code: 'link-broken', shard: previous, from: 0, to: said.size - 1, checkpoint: said.size, message });
}

/** What is wrong with how the log's key was passed on at this shard, or kept. */
function wrongRotation(
  statement: unknown,
  { shard, key, vkey = '' }: ShardReport,
  before: VerifiedShard | undefined,
): string | undefined {
  const previous = before?.report.vkey;
  if (statement === undefined) {
    if (previous === undefined || previous === vkey || before?.report.key !== key) return undefined;
    return `has no rotation statement, though shard ${shard - 1} is signed by another key`;
  }
  if (typeof statement !== 'string') return 'holds a key rotation that is not a note';
  const rotation = openRotation(statement);
  if (typeof rotation === 'string') return `holds a key rotation that does not count: ${rotation}`;
  if (rotation.shard !== shard || formatVkey(rotation.next) !== vkey) {
    return `holds the key rotation of ${rotation.log}/${rotation.shard} to ${keyLabel(rotation.next)}, which does not sign this shard`;
  }
  if (previous !== undefined && formatVkey(rotation.previous) !== previous) {
    return `passes on the key ${keyLabel(rotation.previous)}, which did not sign shard ${shard - 1}`;
  }
  const end = before?.begin.lastKind;
  if (end === undefined || end === 'key') return undefined;
  return `begins under another key, but the last entry of shard ${shard - 1} is of kind ${end}, not key`;
}

export interface SaidEnd {
  readonly shard: number;
  readonly size: number;
  readonly checkpoint: string;
}

interface SaidLink extends SaidEnd {
  readonly rotation: unknown;
}

function readLink(body: Buffer): SaidLink | undefined {
  const parsed = readJson(body);
  const previous = readEnd(parsed['previous']);
  return previous === undefined ? undefined : { ...previous, rotation: parsed['rotation'] };
}

/** The end of the shard before, as the link with this body has it. */
export function previousIn(body: Buffer): SaidEnd | undefined {
  return readEnd(readJson(body)['previous']);
}

/** The end of the removed shard, as the `removal` entry with this body has it. */
export function removedIn(body: Buffer): SaidEnd | undefined {
  return readEnd(readJson(body)['removed']);
}

/** An object's members; none when it is no object. */
function readJson(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function readEnd(value: unknown): SaidEnd | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { shard, size, checkpoint } = value as Record<string, unknown>;
  if (typeof shard !== 'number' || typeof size !== 'number' || typeof checkpoint !== 'string') return undefined;
  return { shard, size, checkpoint };
}
