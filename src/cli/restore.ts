// `sealgate restore`: a ledger from its mirror.
import type { Command } from 'commander';
import { type RestoreResult, restoreLedger } from '../mirror/restore.ts';
import { fail } from './failure.ts';
import { readKey } from './keys.ts';
import { parseCount } from './shard.ts';
import { addStoreOptions, openToRead, type StoreFlags } from './store-flags.ts';
import { escapeTerminal } from './terminal.ts';
import { number, progressLine } from './verify.ts';

interface Flags extends StoreFlags {
  readonly key: readonly string[];
  readonly shard?: number;
}

export function register(program: Command): void {
  const list = (value: string, before: readonly string[]): string[] => [...before, value];
  const command = program
    .command('restore')
    .summary('rebuild a ledger from its mirror')
    .description(
      'Rebuilds a ledger from its mirror (s3://bucket/prefix, file:///folder or a folder): every leaf, body and salt as it was recorded.\n' +
        'All of it is verified before it gets its name. Interrupted, it goes on where it was when it is started again.\n' +
        'Exit codes: 0 restored, 1 could not run, 2 usage, 10 the mirror does not prove all that was recorded.',
    )
    .argument('<mirror>', 'the mirror')
    .argument('<dir>', 'folder of the ledger: a new or empty one, or that of an interrupted restore')
    .requiredOption('--key <vkey|file>', 'verifying key of the log, as text or in a file (repeatable)', list, [])
    .option('--shard <n>', 'only this shard', parseCount);
  addStoreOptions(command).action(async (mirror: string, dir: string, flags: Flags) => {
    process.exitCode = await run(mirror, dir, flags);
  });
}

async function run(mirror: string, dir: string, flags: Flags): Promise<number> {
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  try {
    const keys = flags.key.flatMap(readKey);
    const store = openToRead(mirror, flags);
    try {
      const result = await restoreLedger(store, dir, {
        keys,
        ...(flags.shard === undefined ? {} : { shard: flags.shard }),
        ...(progress === undefined ? {} : { onProgress: progress.show }),
      });
      progress?.clear();
      report(result, mirror, dir);
    } finally {
      store.close();
    }
    return 0;
  } catch (thrown) {
    progress?.clear();
    return fail('restore', thrown);
  }
}

function report({ shards, mirror }: RestoreResult, from: string, dir: string): void {
  for (const { shard, entries } of shards) {
    process.stdout.write(`shard ${shard}: ${number(entries)} ${entries === 1 ? 'entry' : 'entries'}\n`);
  }
  process.stdout.write(escapeTerminal(`restored and verified: ${dir}`));
  process.stdout.write('\n');
  if (mirror === undefined || mirror.findingCount === 0) return;
  process.stderr.write(
    escapeTerminal(
      `sealgate restore: everything was proven, but ${mirror.findingCount} things are not as they should be in ${from}: run sealgate verify on it`,
    ),
  );
  process.stderr.write('\n');
}
