#!/usr/bin/env node
// The command line. One file a command; this one only gathers them and turns what they throw into an exit status.
import { Command, CommanderError } from 'commander';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { keepCompiled } from './compiled.ts';
import { COULD_NOT_RUN, exitStatus } from './exit-status.ts';

/** What a command line that makes no sense ends with; 1 is for what could not be done. */
const USAGE = 2;

interface CommandFile {
  register(program: Command): void;
}

const COMMANDS: Readonly<Record<string, () => Promise<CommandFile>>> = {
  serve: () => import('./serve.ts'),
  query: () => import('./query.ts'),
  verify: () => import('./verify.ts'),
  prove: () => import('./prove.ts'),
  check: () => import('./check.ts'),
  export: () => import('./export.ts'),
  copy: () => import('./copy.ts'),
  restore: () => import('./restore.ts'),
  mirror: () => import('./mirror.ts'),
  certificate: () => import('./certificate.ts'),
  key: () => import('./key.ts'),
  witness: () => import('./witness.ts'),
  policy: () => import('./policy.ts'),
};

// Before the commands are loaded: what is loaded until then is little.
keepCompiled(process.env);

const program = new Command('sealgate')
  .description('Kubernetes admission control and audit with a record that can be verified')
  .version(VERSION)
  .exitOverride()
  .showHelpAfterError('(add --help for the options)');

// Only what is asked for is loaded, so that verifying does not wait for a web server's code; all of it for help and for typing
// errors, which are about all of them.
const wanted = COMMANDS[process.argv[2] ?? ''];
for (const load of wanted === undefined ? Object.values(COMMANDS) : [wanted]) (await load()).register(program);
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
    process.exitCode = error instanceof SealgateError ? exitStatus(error.code) : COULD_NOT_RUN;
  }
}
