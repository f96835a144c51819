// `sealgate check`: checks a proof file offline with the log's verifying key, and prints what is proven, and only that.
import fs from 'node:fs';
import type { Command } from 'commander';
import { factsOf } from '../index/facts.ts';
import { checkProof, type ProofReport, type ProvenEntry } from '../ledger/proof-check.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { MAX_PROOF_BYTES } from '../tlog/tlog-proof.ts';
import { fail, refusedBySystem } from './failure.ts';
import { readKey } from './keys.ts';
import { escapeTerminal } from './terminal.ts';

interface Flags {
  readonly key: readonly string[];
  readonly json?: boolean;
}

export function register(program: Command): void {
  const list = (value: string, before: readonly string[] = []): string[] => [...before, value];
  program
    .command('check')
    .summary('check a proof offline')
    .description(
      'Checks a proof that `sealgate prove` wrote, with the verifying key of the log and nothing else.\n' +
        'Exit codes: 0 proven, 1 could not run, 2 usage, 10 invalid, 12 wrong key, 13 proof of another log.',
    )
    .argument('<file>', 'proof file (.tlog-proof)')
    .requiredOption('--key <vkey|file>', 'verifying key of the log, as text or in a file (repeatable)', list)
    .option('--json', 'print the report, with the body, as JSON')
    .action((file: string, flags: Flags) => {
      process.exitCode = run(file, flags);
    });
}

function run(file: string, flags: Flags): number {
  try {
    const report = checkProof(readProof(file), flags.key.flatMap(readKey));
    process.stdout.write(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : formatProof(report));
    if (report.error !== undefined) {
      process.stderr.write(`sealgate check: ${report.error.code}: ${escapeTerminal(report.error.message)}\n`);
    }
    return report.exitCode;
  } catch (thrown) {
    if (flags.json === true) {
      const code = thrown instanceof SealgateError ? thrown.code : 'INTERNAL';
      process.stdout.write(`${JSON.stringify({ report: 1, error: { code, message: messageOf(thrown) } }, null, 2)}\n`);
    }
    return fail('check', thrown);
  }
}

/** The file's bytes; of one that is too large only as much as shows that it is. */
function readProof(file: string): Buffer {
  try {
    const fd = fs.openSync(file, 'r');
    try {
      const buffer = Buffer.alloc(MAX_PROOF_BYTES + 1);
      let length = 0;
      for (let read = 1; read > 0 && length < buffer.length; length += read) {
        read = fs.readSync(fd, buffer, length, buffer.length - length, null);
      }
      return buffer.subarray(0, length);
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw refusedBySystem('PROOF_INVALID', `the proof file ${file} cannot be read`, cause);
  }
}

const VERDICTS: Readonly<Record<ProofReport['status'], string>> = {
  proven: 'PROVEN: the entry is in the log',
  invalid: 'INVALID: the file proves nothing',
  'wrong-key': 'WRONG KEY: the proof is signed by another key than the one given',
  'other-log': 'OTHER LOG: the proof is of another log than the key',
};

/** The report for a person: the entry, what was proven and what not, and the verdict as the last line. */
export function formatProof(report: ProofReport): string {
  const lines: string[] = [];
  if (report.entry !== undefined) {
    const { origin, leaf } = report.entry;
    lines.push(`Entry ${leaf.seq} of ${origin}`);
    for (const [name, value] of entryFacts(report.entry)) {
      if (value !== '') lines.push(`  ${name.padEnd(12)}${value}`);
    }
    lines.push('');
  }
  const section = (title: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push(`${title}:`, ...items.map((item) => `  - ${item}`), '');
  };
  section('Proven', report.proven);
  section('Not proven', report.unproven);
  lines.push(`${VERDICTS[report.status]}.`);
  return `${lines.map(escapeTerminal).join('\n')}\n`;
}

/** What the entry says, by name; empty values are left out. */
function entryFacts({ leaf, leafHash, body }: ProvenEntry): [name: string, value: string][] {
  const allowed = leaf.allowed === undefined ? '' : leaf.allowed ? 'allowed' : 'denied';
  const shared: [string, string][] = [
    ['time', leaf.time],
    ['kind', leaf.kind],
    ['verdict', allowed],
    ['uid', leaf.uid ?? ''],
    ['bundle', leaf.bundle ?? ''],
  ];
  const last: [string, string][] = [['leaf hash', leafHash]];
  if (body === undefined) return [...shared, ['body', `${leaf.size} bytes, not in the file`], ...last];
  const facts = factsOf(leaf, Buffer.from(body));
  return [
    ...shared,
    ['user', facts.user],
    ['really', facts.impersonator],
    ['verb', facts.verb],
    ['resource', [facts.group, facts.resource, facts.subresource].filter((part) => part !== '').join('/')],
    ['namespace', facts.namespace],
    ['name', facts.name],
    ['dry run', facts.dryRun ? 'yes' : ''],
    ['stage', facts.stage],
    ['status', facts.code === undefined ? '' : String(facts.code)],
    ['audit ID', facts.auditID],
    [
      'policies',
      facts.policies.map(({ policy, action, failed }) => `${policy} (${failed ? 'failed, ' : ''}${action})`).join(', '),
    ],
    ['decision', facts.about === undefined ? '' : `${facts.about.shard}/${facts.about.seq}`],
    ['body', `${leaf.size} bytes (--json prints it)`],
    ...last,
  ];
}
