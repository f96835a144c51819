// `sealgate mirror …`: commands about the copy in object storage. One file for each of them, beside this.
import type { Command } from 'commander';
import { register as registerCheck } from './mirror-check.ts';

export function register(program: Command): void {
  const mirror = program.command('mirror').summary('the copy of the ledger in object storage');
  registerCheck(mirror);
}
