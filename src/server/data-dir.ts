// The folder of everything that the pod writes: made if it is missing, and tried before anything in it is opened, so that a volume that
// cannot be written is called that, and not a bad key.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { SealgateError } from '../lib/errors.ts';

/** Throws LEDGER_READ_ONLY when `dir` cannot be made or written. */
export function openDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(dir, error);
  }
}

function unwritable(dir: string, error: unknown): SealgateError {
  const why = error instanceof Error ? error.message : String(error);
  return new SealgateError(
    'LEDGER_READ_ONLY',
    `dataDir ${dir} cannot be written: check its owner and mode and that its volume is not mounted read-only (${why})`,
    { cause: error },
  );
}
