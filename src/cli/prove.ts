// `sealgate prove`: writes the proof of one entry to a file that somebody else can check without the ledger.
import fs from 'node:fs';
import type { Command } from 'commander';
import { type BodyInProof, proveEntry } from '../ledger/proof.ts';
import { fail, refusedBySystem } from './failure.ts';
import { openShard, parseCount } from './shard.ts';

interface Flags {
  readonly shard?: number;
  readonly out?: string;
  readonly force?: boolean;
  readonly body: boolean;
}

export function register(program: Command): void {
  program
    .command('prove')
    .summary('prove that an entry is in a ledger')
    .description(
      'Writes a proof (C2SP tlog-proof) that an entry is in the ledger, for `sealgate check` and the verifying key.\n' +
        'Exit codes: 0 written, 1 could not run, 2 usage, 10 the ledger is damaged or was changed.',
    )
    .argument('<path>', 'ledger folder, data folder, or shard file')
    .argument('<seq>', 'number of the entry', parseCount)
    .option('--shard <n>', 'shard that the entry is in, where there are several', parseCount)
    .option('--out <file>', 'write the proof to this file, not to standard output')
    .option('--force', 'with --out: replace a file that is there')
    .option('--no-body', 'leave the body out: the proof then shows when and what kind of entry it is, not its content')
    .action((given: string, seq: number, flags: Flags) => {
      process.exitCode = run(given, seq, flags);
    });
}

function run(given: string, seq: number, flags: Flags): number {
  try {
    const { shard, tree } = openShard(given, flags.shard);
    try {
      const { text, body } = proveEntry(tree, seq, { body: flags.body });
      write(text, flags.out, flags.force === true);
      if (flags.out !== undefined) {
        process.stderr.write(
          `sealgate prove: the proof of entry ${seq} of shard ${shard} was written to ${flags.out}\n`,
        );
      }
      const remark = REMARKS[body];
      if (remark !== undefined) process.stderr.write(`sealgate prove: ${remark}\n`);
    } finally {
      tree.close();
    }
    return 0;
  } catch (thrown) {
    return fail('prove', thrown);
  }
}

/** Said when the proof has no body though nobody asked for that. */
const REMARKS: Readonly<Partial<Record<BodyInProof, string>>> = {
  'too-large':
    'the body is too large for a proof file (2,000,000 bytes in base64) and was left out; the leaf commits to it',
  'not-text': 'the body is not UTF-8 and was left out; the leaf commits to it',
};

/** A file appears under its name only when it is whole. The body in it may be confidential: it is for its owner alone. */
function write(text: string, out: string | undefined, force: boolean): void {
  if (out === undefined) {
    process.stdout.write(text);
    return;
  }
  const draft = `${out}.${process.pid}.new`;
  try {
    // Anything but a file, for example /dev/stdout, must not be replaced by one.
    const found = fs.lstatSync(out, { throwIfNoEntry: false });
    if (found?.isFile() === false) throw new Error('it is there and not a file');
    if (found !== undefined && !force) throw new Error('it is there already; --force replaces it');
    fs.writeFileSync(draft, text, { mode: 0o600, flag: 'wx' });
    fs.renameSync(draft, out);
  } catch (cause) {
    fs.rmSync(draft, { force: true });
    throw refusedBySystem('EXPORT_FAILED', `the proof cannot be written to ${out}`, cause);
  }
}
