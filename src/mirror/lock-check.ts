// Holds the locks of the objects that a history rests on against what was asked for.
import type { Findings } from '../ledger/verify-report.ts';
import type { ObjectClass, ObjectStore, Retention, StoredVersion } from './stores/store.ts';

/** What every object must be locked with. */
export interface LockExpectation {
  readonly mode: 'compliance' | 'governance';
  /** Days from the writing of an object to the end of its lock. */
  readonly days: Readonly<Record<Exclude<ObjectClass, 'partial'>, number>>;
  /** Whether a lock that lasted as long and has ended since is too short. */
  readonly inForce?: boolean;
}

const DAY_MS = 86_400_000;
/** The lock is counted from the mirror's clock, the time of writing is by the store's. */
const CLOCK_MS = 3_600_000;

interface Tally {
  count: number;
  first: string;
  why: string;
  from: number | undefined;
  to: number | undefined;
}

export class LockCheck {
  /** Locks that had lasted as long as was asked and have ended. */
  ended = 0;
  /** Objects whose locks were read. */
  checked = 0;
  readonly #store: ObjectStore;
  readonly #expected: LockExpectation;
  readonly #nowMs: number;
  readonly #wrong = new Map<'retention-missing' | 'retention-short', Tally>();

  constructor(store: ObjectStore, expected: LockExpectation, nowMs: number) {
    this.#store = store;
    this.#expected = expected;
    this.#nowMs = nowMs;
  }

  /** Checks an object by its right versions: one of them has to be locked as it should. Throws what the store throws. */
  async check(
    versions: readonly StoredVersion[],
    of: ObjectClass,
    entries: readonly [from: number, to: number] | undefined,
  ): Promise<void> {
    let worst: { code: 'retention-missing' | 'retention-short'; why: string } | undefined;
    for (const version of versions) {
      const found = this.#problem(await this.#store.retention(version.key, version.version), version, of);
      if (found === undefined) {
        worst = undefined;
        break;
      }
      worst ??= found;
    }
    this.checked += 1;
    const [first] = versions;
    if (worst === undefined || first === undefined) return;
    const tally = this.#wrong.get(worst.code);
    const [from, to] = entries ?? [undefined, undefined];
    if (tally === undefined) {
      this.#wrong.set(worst.code, { count: 1, first: first.key, why: worst.why, from, to });
      return;
    }
    tally.count += 1;
    if (from !== undefined) tally.from = Math.min(from, tally.from ?? from);
    if (to !== undefined) tally.to = Math.max(to, tally.to ?? to);
  }

  /** Reports what was found in a shard, and forgets it. */
  report(shard: number, findings: Findings): void {
    for (const [code, { count, first, why, from, to }] of this.#wrong) {
      const others = count === 1 ? '' : `, and so are ${count - 1} other objects`;
      findings.add({
        code,
        shard,
        ...(from === undefined || to === undefined ? {} : { from, to }),
        object: first,
        history: 'whole',
        message: `${first} ${why}${others}`,
      });
    }
    if (this.ended > 0) {
      findings.note(`shard ${shard}: the locks of ${this.ended} objects have ended, after as long as was asked for`);
    }
    this.#wrong.clear();
    this.ended = 0;
    this.checked = 0;
  }

  #problem(
    lock: Retention | undefined,
    version: StoredVersion,
    of: ObjectClass,
  ): { code: 'retention-missing' | 'retention-short'; why: string } | undefined {
    // A class that is not to be locked needs no lock; what is partial at the end of a shard is locked as the rest of the log.
    if (of === 'bodies' ? this.#expected.days.bodies === 0 : this.#expected.days.log === 0) return undefined;
    const missing = (why: string) => ({ code: 'retention-missing' as const, why });
    const short = (why: string) => ({ code: 'retention-short' as const, why });
    if (lock === undefined || lock.mode === 'none' || lock.until === undefined) {
      return lock?.legalHold === true ? undefined : missing('is not locked');
    }
    if (this.#expected.mode === 'compliance' && lock.mode !== 'compliance') {
      return missing('is locked in governance mode only, which whoever has that permission can lift');
    }
    const until = lock.until.getTime();
    if (of === 'partial') return until > this.#nowMs ? undefined : short('is needed, and its lock has ended');
    const days = this.#expected.days[of];
    if (until - version.modified.getTime() + CLOCK_MS < days * DAY_MS) {
      return short(`is locked until ${lock.until.toISOString()}, less than ${days} days from when it was written`);
    }
    if (until > this.#nowMs) return undefined;
    if (this.#expected.inForce === true) return short(`was locked until ${lock.until.toISOString()}, which has passed`);
    this.ended += 1;
    return undefined;
  }
}
