// `sealgate export`: writes a shard as C2SP tlog-tiles, for tools that know nothing of Sealgate.
import type { Command } from 'commander';
import { exportTiles } from '../ledger/export.ts';
import { fail } from './failure.ts';
import { openShard, parseCount } from './shard.ts';
import { escapeTerminal } from './terminal.ts';
import { number, progressLine } from './verify.ts';

interface Flags {
  readonly shard?: number;
  readonly tiles: string;
}

export function register(program: Command): void {
  program
    .command('export')
    .summary('write a shard as C2SP tlog-tiles')
    .description(
      'Writes a shard at its newest checkpoint as the files of C2SP tlog-tiles, or extends an older export of it. Bodies are not exported.\n' +
        'Exit codes: 0 written, 1 could not run, 2 usage, 10 the ledger is damaged or was changed.',
    )
    .argument('<path>', 'ledger folder, data folder, or shard file')
    .requiredOption('--tiles <dir>', 'folder to write to: a new or empty one, or that of an older export')
    .option('--shard <n>', 'shard to export, where there are several', parseCount)
    .action((given: string, flags: Flags) => {
      process.exitCode = run(given, flags);
    });
}

function run(given: string, flags: Flags): number {
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  try {
    const { tree, shard } = openShard(given, flags.shard);
    try {
      const { origin, size, before } = exportTiles(tree, flags.tiles, {
        ...(progress === undefined ? {} : { onProgress: (done, total) => progress.show({ shard, done, total }) }),
      });
      progress?.clear();
      const added = before === 0 ? '' : `, ${number(size - before)} of them new`;
      process.stdout.write(`${escapeTerminal(origin)}: ${number(size)} ${size === 1 ? 'entry' : 'entries'}${added}\n`);
    } finally {
      tree.close();
    }
    return 0;
  } catch (thrown) {
    progress?.clear();
    return fail('export', thrown);
  }
}
