// Notices that a file which is held open was removed or replaced on disk: what is written then would reach a file that
// nobody will ever open again. Only stat: opening and closing a live database through fs would drop its POSIX locks.
import { statSync } from 'node:fs';
import { SealgateError } from '../lib/errors.ts';

/**
 * How often at most the files are looked at, in milliseconds. So what was acknowledged in the tenth of a second after a
 * file was removed can be lost with it; what was written before the removal is lost in any case.
 */
const INTERVAL_MS = 100;

export class FileWatch {
  readonly #identities = new Map<string, string>();
  #checkedAt = Number.NEGATIVE_INFINITY;

  /** Remembers which files stand under these paths now. */
  constructor(paths: readonly string[]) {
    for (const path of paths) this.#identities.set(path, identity(path));
  }

  /** Throws LEDGER_CORRUPT when one is gone or another stands in its place. `nowMs` is monotonic. */
  check(nowMs: number): void {
    if (nowMs - this.#checkedAt < INTERVAL_MS) return;
    this.#checkedAt = nowMs;
    for (const [path, expected] of this.#identities) {
      const found = identity(path);
      if (found === expected) continue;
      throw new SealgateError(
        'LEDGER_CORRUPT',
        `${path} was ${found === 'missing' ? 'removed' : 'replaced'} while the ledger was being written: nothing more is acknowledged; find out who did that, put the file back and start again`,
      );
    }
  }
}

function identity(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'missing' : `${stat.dev}:${stat.ino}`;
}
