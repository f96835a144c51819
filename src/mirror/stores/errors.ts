// Which failures of a store pass by themselves, and which wait for somebody to act.
import { type ErrorCode, messageOf, SealgateError } from '../../lib/errors.ts';

/** Trying again later can succeed without anybody doing anything. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MIRROR_UNAVAILABLE',
  'MIRROR_THROTTLED',
  'MIRROR_TRANSFER_DAMAGED',
]);

/** False: somebody has to act first. A mirror keeps trying in either case, and says what it waits for. */
export function isRetryable(error: unknown): boolean {
  return error instanceof SealgateError && RETRYABLE.has(error.code);
}

/** An error of a store, with the error underneath as its cause. */
export function storeError(code: ErrorCode, message: string, cause: unknown): SealgateError {
  return new SealgateError(code, message, { cause });
}

/** The `code` that Node gives to errors of the system, else ''. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** What the file system refused, as an error of ours. `what` says what was tried and where. */
export function directoryError(error: unknown, what: string): SealgateError {
  if (error instanceof SealgateError) return error;
  const remedies: Readonly<Record<string, string>> = {
    ENOSPC: 'make room on its volume',
    EDQUOT: 'raise the quota of its owner',
    EROFS: 'its volume is mounted read-only',
    EACCES: 'check owner and mode of the folder',
    EPERM: 'check owner, mode and attributes of the folder',
    EIO: 'its disk is failing',
    ENOENT: 'the folder was removed or its volume is not mounted',
    ELOOP: 'a symbolic link stands where an object belongs',
    ENOTDIR: 'something else stands where a folder belongs',
    EISDIR: 'a folder stands where an object belongs',
    EMFILE: 'raise the limit of open files',
  };
  const remedy = remedies[systemCode(error)];
  return storeError('MIRROR_FOLDER', `${what}: ${messageOf(error)}${remedy === undefined ? '' : `; ${remedy}`}`, error);
}
