#!/usr/bin/env node
// The command line. One file a command; this one only gathers them and turns what they throw into an exit status.
import { Command, CommanderError } from 'commander';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { register as registerCheck } from './check.ts';
import { register as registerExport } from './export.ts';
import { register as registerProve } from './prove.ts';
import { register as registerQuery } from './query.ts';
import { register as registerServe } from './serve.ts';
import { register as registerVerify } from './verify.ts';

/** What a command line that makes no sense ends with; 1 is for what could not be done. */
const USAGE = 2;

const program = new Command('sealgate')
  .description('Kubernetes admission control and audit with a record that can be verified')
  .version(VERSION)
  .exitOverride()
  .showHelpAfterError('(add --help for the options)');

registerServe(program);
registerQuery(program);
registerVerify(program);
registerProve(program);
registerCheck(program);
registerExport(program);
for (const command of program.commands) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed the reason; asking for help or the version is no error.
    process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  } else {
    const code = error instanceof SealgateError ? `${error.code}: ` : '';
    process.stderr.write(`sealgate: ${code}${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
