// How a command about a ledger ends when it cannot do what it was asked: one line on standard error and an exit code.
import { type ErrorCode, messageOf, SealgateError } from '../lib/errors.ts';
import { exitStatus } from './exit-status.ts';
import { escapeTerminal } from './terminal.ts';

const USAGE = 2;

/** The command line names something that makes no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Prints what was thrown and returns the exit code: as those of `sealgate verify` where they mean the same. */
export function fail(command: string, thrown: unknown): number {
  if (thrown instanceof UsageError) {
    process.stderr.write(`error: ${escapeTerminal(thrown.message)}\n`);
    return USAGE;
  }
  const code = thrown instanceof SealgateError ? thrown.code : 'INTERNAL';
  process.stderr.write(`sealgate ${command}: ${code}: ${escapeTerminal(messageOf(thrown))}\n`);
  return exitStatus(code);
}

/** An error of ours for what the system refused: `what` and the system's reason. */
export function refusedBySystem(code: ErrorCode, what: string, cause: unknown): SealgateError {
  return new SealgateError(code, `${what}: ${messageOf(cause)}`, { cause });
}
