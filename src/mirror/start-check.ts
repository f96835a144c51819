// What a start, or a mirror that found another history later, does about it: looks at the store for a bounded time, and says
// whether the ledger may be gone on with as it is.
import { setTimeout as sleep } from 'node:timers/promises';
import type { LedgerBreak } from '../ledger/link.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { type Continuity, type ContinuityOptions, compareWithMirror } from './continuity.ts';
import type { MirrorLog } from './log.ts';
import { openStore } from './stores/open.ts';
import type { RetentionRule, S3Options } from './stores/options.ts';

export interface StartCheckOptions extends ContinuityOptions {
  readonly url: string;
  readonly retention: RetentionRule;
  readonly s3: S3Options;
  readonly onRollback: 'new-shard' | 'refuse';
  /** Milliseconds after which the store counts as unreachable. */
  readonly timeoutMs: number;
  readonly log: MirrorLog;
}

export interface StartCheck {
  readonly mirror: 'continued' | 'empty' | 'unchecked';
  readonly broken: LedgerBreak | undefined;
}

/**
 * Compares the ledger with its mirror. An unreachable mirror is `unchecked`, and said. Throws LEDGER_ROLLED_BACK when the two are
 * not one history and `onRollback` is `refuse`, and what reading the ledger throws.
 */
export async function checkAtStart(options: StartCheckOptions): Promise<StartCheck> {
  const { url, retention, s3, log, timeoutMs, onRollback } = options;
  let found: Continuity;
  try {
    found = await inTime(timeoutMs, url, async () => {
      const store = openStore(url, { clock: systemClock(), retention, s3 });
      try {
        return await compareWithMirror(store, options);
      } finally {
        store.close();
      }
    });
  } catch (error) {
    if (!(error instanceof SealgateError) || !error.code.startsWith('MIRROR_')) throw error;
    const fields = { code: error.code, error: messageOf(error) };
    log(
      'warn',
      fields,
      'the mirror cannot be reached: whether the ledger here continues it is checked when it answers',
    );
    return { mirror: 'unchecked', broken: undefined };
  }
  if (found.state !== 'broken') return { mirror: found.state, broken: undefined };
  const { mirrored, local, reason, why } = found;
  const text = `the ledger here is not the history that left it (${reason}): ${why}`;
  if (onRollback === 'refuse') {
    throw new SealgateError(
      'LEDGER_ROLLED_BACK',
      `${text}. mirror.onRollback is refuse: put the right volume back, restore it (sealgate restore), or set it to new-shard (docs/runbook.md)`,
    );
  }
  log(
    'error',
    { reason, mirrored: { shard: mirrored.shard, size: mirrored.size }, local },
    `${text}; a new shard begins`,
  );
  return { mirror: 'continued', broken: { reason, why, previous: mirrored, local } };
}

async function inTime<T>(timeoutMs: number, url: string, act: () => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: abort.signal }).then((): never => {
    throw new SealgateError('MIRROR_UNAVAILABLE', `${url} did not answer within ${timeoutMs / 1000} s`);
  });
  // When the store was quicker nobody waits for this one any more.
  late.catch(() => undefined);
  try {
    return await Promise.race([act(), late]);
  } finally {
    abort.abort();
  }
}
