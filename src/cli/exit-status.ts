// Exit statuses of errors that a script tells apart; docs/errors.md lists them. Everything else is 1, "could not run".
import type { ErrorCode } from '../lib/errors.ts';

export const COULD_NOT_RUN = 1;

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  LEDGER_CORRUPT: 10,
  RESTORE_UNPROVEN: 10,
  LEDGER_WRONG_KEY: 12,
  PROOF_OTHER_LOG: 13,
  LEDGER_NOT_FOUND: 20,
  LEDGER_NOT_A_LEDGER: 21,
  LEDGER_FORMAT_NEWER: 22,
  LEDGER_MIXED: 23,
  LEDGER_UNSUPPORTED_FS: 24,
  KEY_EXPOSED: 25,
  KEY_PRIVATE: 26,
  POLICY_INVALID: 27,
};

export function exitStatus(code: ErrorCode): number {
  return STATUSES[code] ?? COULD_NOT_RUN;
}
