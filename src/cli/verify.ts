// `sealgate verify`: the auditor's command. Prints what was checked, what was found and what could not be checked.
import fs from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { findLedger, type VerifyProgress, verifyLedger } from '../ledger/verify.ts';
import {
  entriesText,
  type Finding,
  MAX_FINDINGS,
  type ShardReport,
  type VerifyReport,
} from '../ledger/verify-report.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { readWitnessPolicy } from '../mirror/witness-policy.ts';
import { judgeCosigned } from '../mirror/witnessed.ts';
import type { WitnessPolicy } from '../tlog/policy.ts';
import { exitStatus } from './exit-status.ts';
import { UsageError } from './failure.ts';
import { readKey, readText } from './keys.ts';
import { addStoreOptions } from './store-flags.ts';
import { escapeTerminal } from './terminal.ts';
import { isStore, type MirrorFlags, verifyStore } from './verify-mirror.ts';

const USAGE = 2;
const PROGRESS_INTERVAL_MS = 200;

interface Flags extends MirrorFlags {
  readonly policy?: string;
  readonly checkpoint: readonly string[];
  readonly json?: boolean;
}

export function register(program: Command): void {
  const list = (value: string, before: readonly string[]): string[] => [...before, value];
  const count = (value: string): number => {
    if (!/^(0|[1-9]\d{0,14})$/.test(value)) throw new InvalidArgumentError('It is not a number from 0 up.');
    return Number(value);
  };
  const command = program
    .command('verify')
    .summary('verify a ledger, a mirror or an export')
    .description(
      'Verifies a ledger with its files and its verifying key: a ledger folder, a data folder, or one shard file; live or a copy.\n' +
        'Also its mirror (s3://bucket/prefix, file:///folder or a folder) and what `sealgate export --tiles` wrote.\n' +
        'Exit codes: 0 whole, 1 could not run, 2 usage, 10 tampered, 11 incomplete, 12 wrong key.',
    )
    .argument('<path>', 'ledger folder, data folder, shard file, mirror or export')
    .option('--key <vkey|file>', 'verifying key of the log, as text or in a file (repeatable)', list, [])
    .option('--checkpoint <file>', 'a checkpoint kept outside the ledger (repeatable)', list, [])
    .option('--shard <n>', 'only this shard', count)
    .option('--from <seq>', 'check bodies from this entry on', count)
    .option('--to <seq>', 'check bodies up to this entry', count)
    .option('--retention <mode>', 'mirror: every object must be locked, in compliance or governance mode')
    .option('--min-days <n>', 'mirror: for at least so many days from when it was written', count)
    .option('--min-body-days <n>', 'mirror: the same for bodies, where it is another number', count)
    .option('--compare <dir>', 'mirror: hold this ledger against it')
    .option('--policy <file>', 'witnesses that have to have cosigned (C2SP tlog-policy): the mirror, or a --checkpoint')
    .option('--json', 'print the report as JSON');
  addStoreOptions(command).action(async (given: string, flags: Flags) => {
    process.exitCode = await run(given, flags);
  });
}

/** Verifies and prints; the exit code. */
async function run(given: string, flags: Flags): Promise<number> {
  if (flags.from !== undefined && flags.to !== undefined && flags.from > flags.to) {
    process.stderr.write('error: --from is after --to\n');
    return USAGE;
  }
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  try {
    const checkpoints = flags.checkpoint.map((file) => oneNewline(readText(file, 'CHECKPOINT_INVALID')));
    const onProgress = progress?.show;
    const policy = flags.policy === undefined ? undefined : readWitnessPolicy(flags.policy).policy;
    const report = isStore(given, flags.key)
      ? await verifyStore(given, flags, { checkpoints, onProgress, policy })
      : verifyFiles(given, flags, checkpoints, onProgress, policy);
    progress?.clear();
    process.stdout.write(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
    return report.exitCode;
  } catch (thrown) {
    progress?.clear();
    if (thrown instanceof UsageError) {
      process.stderr.write(`error: ${escapeTerminal(thrown.message)}\n`);
      return USAGE;
    }
    const code = thrown instanceof SealgateError ? thrown.code : 'INTERNAL';
    if (flags.json === true)
      process.stdout.write(`${JSON.stringify({ report: 1, error: { code, message: messageOf(thrown) } }, null, 2)}\n`);
    process.stderr.write(`sealgate verify: ${code}: ${escapeTerminal(messageOf(thrown))}\n`);
    return exitStatus(code);
  }
}

function verifyFiles(
  given: string,
  flags: Flags,
  checkpoints: readonly string[],
  onProgress: ((progress: VerifyProgress) => void) | undefined,
  policy: WitnessPolicy | undefined,
): VerifyReport {
  if (flags.retention !== undefined) throw new UsageError('--retention is for a mirror: a ledger has no locks');
  if (flags.compare !== undefined) throw new UsageError('--compare is for a mirror: give the mirror as the path');
  const { keys, unchecked } = readKeys(given, flags.key);
  const report = verifyLedger(given, {
    keys,
    unchecked,
    checkpoints,
    ...(flags.shard === undefined ? {} : { shard: flags.shard }),
    ...(flags.from === undefined ? {} : { from: flags.from }),
    ...(flags.to === undefined ? {} : { to: flags.to }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return policy === undefined ? report : judgeCosigned(report, policy, checkpoints);
}

/** The keys to verify with: those given, else the one beside the ledger, with the warning that belongs to it. */
function readKeys(given: string, wanted: readonly string[]): { keys: string[]; unchecked: string[] } {
  if (wanted.length > 0) return { keys: wanted.flatMap(readKey), unchecked: [] };
  const beside = path.join(path.dirname(path.resolve(findLedger(given).folder)), 'keys', 'ledger.vkey');
  if (!fs.existsSync(beside)) {
    throw new SealgateError('KEY_INVALID', `give the verifying key with --key: there is none at ${beside} either`);
  }
  return {
    keys: readKey(beside),
    unchecked: [
      `the verifying key itself: it was found beside the ledger (${beside}). Whoever could write there could have put both; give the key you trust with --key`,
    ],
  };
}

/** One line on standard error that says how far it is. */
export function progressLine(): { show(progress: VerifyProgress): void; clear(): void } {
  let shown = 0;
  return {
    show({ shard, done, total }) {
      const now = performance.now();
      if (now - shown < PROGRESS_INTERVAL_MS) return;
      shown = now;
      const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
      process.stderr.write(`\r\u001b[Kshard ${shard}: ${number(done)} of ${number(total)} entries, ${percent} %`);
    },
    clear() {
      if (shown > 0) process.stderr.write('\r\u001b[K');
    },
  };
}

/** With thousands separated, for people. */
export function number(value: number): string {
  return value.toLocaleString('en-GB');
}

const VERDICTS: Readonly<Record<VerifyReport['status'], string>> = {
  whole: 'WHOLE: what was checked is as it was recorded',
  tampered: 'TAMPERED: the ledger is not as it was recorded',
  incomplete: 'INCOMPLETE: parts of the ledger are missing',
  'wrong-key': 'WRONG KEY: the ledger is signed by another key than the one given',
};

/** The report for a person: shards, findings, what was not checked, and the verdict as the last line. */
export function formatReport(report: VerifyReport): string {
  const lines = [...table(report.shards)];
  const section = (title: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push('', `${title}:`, ...items.map((item) => `  - ${item}`));
  };
  section('Findings', report.findings.map(findingText));
  const more = report.findingCount - report.findings.length;
  if (more > 0) lines.push(`  - and ${number(more)} more (the first ${MAX_FINDINGS} are listed)`);
  section('Remarks', report.notes);
  section('Not checked', report.unchecked);
  lines.push('', `${verdictText(report)}.${report.status === 'whole' ? wholeSuffix(report) : historySuffix(report)}`);
  return `${lines.map(escapeTerminal).join('\n')}\n`;
}

function verdictText({ status, findings }: VerifyReport): string {
  const onlyWitnesses = findings.length > 0 && findings.every(({ code }) => code === 'quorum-missing');
  return status === 'incomplete' && onlyWitnesses
    ? 'INCOMPLETE: nothing is missing, but too few witnesses vouch for it'
    : VERDICTS[status];
}

function wholeSuffix(report: VerifyReport): string {
  const entries = report.shards.reduce((sum, shard) => sum + shard.entries, 0);
  const tail = report.unsignedTail === 0 ? '' : `, the last ${number(report.unsignedTail)} not yet signed`;
  return ` ${number(entries)} ${entries === 1 ? 'entry' : 'entries'}${tail}.`;
}

/** Of a mirror: what matters when something was done to it. */
function historySuffix({ status, history }: VerifyReport): string {
  if (history === undefined || status === 'wrong-key') return '';
  return history === 'whole'
    ? ' The history is whole all the same: every entry and body is proven by what lies beside it.'
    : ' Part of the history is not proven by anything that is there.';
}

function findingText({ code, shard, from, to, message }: Finding): string {
  const where = from === undefined || to === undefined ? '' : `, ${entriesText(from, to)}`;
  return `${code} (shard ${shard}${where}): ${message}`;
}

function table(shards: readonly ShardReport[]): string[] {
  const head = ['SHARD', 'ORIGIN', 'ENTRIES', 'SIGNED', 'BODIES', 'CHECKPOINTS', 'FIRST', 'LAST'];
  const rows = shards.map((shard) => [
    String(shard.shard),
    shard.origin ?? '(unknown)',
    number(shard.entries),
    number(shard.signed),
    number(shard.bodies),
    shard.matched === shard.checkpoints
      ? number(shard.matched)
      : `${number(shard.matched)} of ${number(shard.checkpoints)}`,
    shard.firstTime ?? '',
    shard.lastTime ?? '',
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** A note ends in exactly one newline; the sqlite3 shell and editors add more. The signed text is not touched by that. */
function oneNewline(note: string): string {
  return note.replace(/\n*$/, '\n');
}
