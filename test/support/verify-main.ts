// `sealgate verify` alone: the command line without the other commands, so that its tests need nothing else.
import { Command, CommanderError } from 'commander';
import { register } from '../../src/cli/verify.ts';

const program = new Command('sealgate').exitOverride();
register(program);
for (const command of program.commands) command.exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
