// What keeps a pod from recording: the checks behind /readyz, over what the composition root can say of its parts.
import type { Check } from './health.ts';
import { Progress, type Work } from './progress.ts';

/** Longer than the slowest commit of a disk that works. */
const STUCK_MS = 10_000;

/** Workers that were cut off are replaced within a second or so. */
const NO_WORKER_MS = 5000;

export interface LedgerState {
  /** Why nothing is acknowledged any more; the process is about to end then. */
  readonly failed: string | undefined;
  /** Entries that wait for a commit, and commits. */
  readonly work: Work;
  /** Where it stands, for people. */
  readonly detail: string;
}

/** Not ready once the ledger has failed, or entries wait for a disk that does not answer. `now` in milliseconds, monotonic. */
export function ledgerCheck(state: () => LedgerState, now: () => number): Check {
  const progress = new Progress(now);
  return {
    name: 'ledger',
    check: () => {
      const { failed, work, detail } = state();
      if (failed !== undefined) return { ok: false, detail: failed };
      const stuckMs = progress.stuckMs(work);
      if (stuckMs < STUCK_MS) return { ok: true, detail };
      const seconds = Math.floor(stuckMs / 1000);
      return {
        ok: false,
        detail: `${work.waiting} entries wait, and none was committed for ${seconds} s: the disk hangs`,
      };
    },
  };
}

/** Not ready when no policy worker could take a request for a while: the reason is in the log, where workers are replaced. */
export function policyCheck(
  state: () => {
    readonly ready: number;
    readonly evaluations: number;
    readonly detail: string;
    readonly warning: boolean;
  },
  now: () => number,
): Check {
  const progress = new Progress(now);
  return {
    name: 'policies',
    check: () => {
      const { ready, evaluations, detail, warning } = state();
      const stuckMs = progress.stuckMs({ waiting: ready > 0 ? 0 : 1, done: evaluations });
      if (stuckMs < NO_WORKER_MS) return { ok: true, detail, warning };
      return { ok: false, detail: `no worker can evaluate a request for ${Math.floor(stuckMs / 1000)} s` };
    },
  };
}

/**
 * Warns of a certificate that has ended, and fails when all have: with one of two, reviews or audit events still arrive, and both
 * come through Services that send to ready replicas only. `now` in milliseconds since the epoch.
 */
export function certificateCheck(ends: () => Readonly<Record<string, Date>>, now: () => number): Check {
  return {
    name: 'certificates',
    check: () => {
      const all = Object.entries(ends());
      const over = all.filter(([, end]) => end.getTime() <= now());
      const detail = over.map(([name, end]) => `that of ${name} ended on ${end.toISOString()}`).join(', ');
      if (over.length === 0) return { ok: true };
      return { ok: over.length < all.length, warning: true, detail };
    },
  };
}
