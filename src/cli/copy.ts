// `sealgate copy`: a consistent copy of a ledger, live or not, that `sealgate verify` finds whole.
import type { Command } from 'commander';
import { copyLedger } from '../ledger/copy.ts';
import { findLedger } from '../ledger/verify.ts';
import { fail } from './failure.ts';
import { number, progressLine } from './verify.ts';

export function register(program: Command): void {
  program
    .command('copy')
    .summary('copy a ledger, live or not')
    .description(
      'Copies all shards of a ledger into a new or empty folder, each as it is at one instant; a writer goes on meanwhile.\n' +
        'When it ends the copy is on disk. Keys are not copied.\n' +
        'Exit codes: 0 copied, 1 could not run, 2 usage, 10 the ledger is damaged or was changed.',
    )
    .argument('<source>', 'ledger folder or data folder')
    .argument('<dir>', 'folder to copy to: a new or empty one')
    .action(async (source: string, dir: string) => {
      process.exitCode = await run(source, dir);
    });
}

async function run(source: string, dir: string): Promise<number> {
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  try {
    const copied = await copyLedger(findLedger(source).folder, dir, {
      ...(progress === undefined ? {} : { onProgress: progress.show }),
    });
    progress?.clear();
    for (const { shard, entries } of copied) {
      process.stdout.write(`shard ${shard}: ${number(entries)} ${entries === 1 ? 'entry' : 'entries'}\n`);
    }
    return 0;
  } catch (thrown) {
    progress?.clear();
    return fail('copy', thrown);
  }
}
