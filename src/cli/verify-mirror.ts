// The part of `sealgate verify` that is about a mirror or an export: which path is one, and what it is verified with.
import fs from 'node:fs';
import path from 'node:path';
import { findLedger } from '../ledger/verify.ts';
import type { VerifyReport } from '../ledger/verify-report.ts';
import { SealgateError } from '../lib/errors.ts';
import { LedgerComparison } from '../mirror/compare.ts';
import type { LockExpectation } from '../mirror/lock-check.ts';
import { verifyMirror } from '../mirror/verify-mirror.ts';
import { judgeMirrorCosigned } from '../mirror/witnessed.ts';
import type { WitnessPolicy } from '../tlog/policy.ts';
import { UsageError } from './failure.ts';
import { readKey } from './keys.ts';
import { openToRead, type StoreFlags } from './store-flags.ts';

export interface MirrorFlags extends StoreFlags {
  readonly key: readonly string[];
  readonly shard?: number;
  readonly from?: number;
  readonly to?: number;
  readonly retention?: string;
  readonly minDays?: number;
  readonly minBodyDays?: number;
  readonly compare?: string;
}

export interface MirrorRun {
  readonly checkpoints: readonly string[];
  readonly onProgress: ((progress: { shard: number; done: number; total: number }) => void) | undefined;
  readonly policy: WitnessPolicy | undefined;
}

/** Whether the path is a store of objects rather than a ledger: a URL, or a folder that looks like a mirror or an export. */
export function isStore(given: string, keys: readonly string[]): boolean {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) return true;
  if (!(fs.statSync(given, { throwIfNoEntry: false })?.isDirectory() ?? false)) return false;
  try {
    findLedger(given);
    return false;
  } catch (thrown) {
    if (!(thrown instanceof SealgateError) || thrown.code !== 'LEDGER_NOT_FOUND') throw thrown;
  }
  if (fs.existsSync(path.join(given, 'checkpoint')) || fs.existsSync(path.join(given, 'tile'))) return true;
  const logs = keys.flatMap(readKey).map((vkey) => vkey.split('+', 1)[0] ?? '');
  return logs.some((log) => log !== '' && !log.split('/').includes('..') && fs.existsSync(path.join(given, log)));
}

/** Verifies a store. Throws UsageError, and what verifyMirror throws. */
export async function verifyStore(given: string, flags: MirrorFlags, run: MirrorRun): Promise<VerifyReport> {
  if (flags.from !== undefined || flags.to !== undefined) {
    throw new UsageError('--from and --to are for a ledger: of a mirror all bodies are checked');
  }
  if (flags.key.length === 0) {
    throw new SealgateError('KEY_INVALID', 'give the verifying key with --key: a mirror or an export holds none');
  }
  const locks = locksOf(flags);
  const keys = flags.key.flatMap(readKey);
  if (flags.compare !== undefined && new Set(keys.map((vkey) => vkey.split('+', 1)[0])).size > 1) {
    throw new UsageError('--compare is with one ledger: give only keys of its log');
  }
  const compare = flags.compare === undefined ? undefined : new LedgerComparison(findLedger(flags.compare).folder);
  const store = openToRead(given, flags);
  try {
    const report = await verifyMirror(store, {
      keys,
      ...(compare === undefined ? {} : { compare }),
      checkpoints: run.checkpoints,
      nowMs: Date.now(),
      ...(flags.shard === undefined ? {} : { shard: flags.shard }),
      ...(locks === undefined ? {} : { locks }),
      ...(run.onProgress === undefined ? {} : { onProgress: run.onProgress }),
    });
    return run.policy === undefined ? report : await judgeMirrorCosigned(report, run.policy, store);
  } finally {
    compare?.close();
    store.close();
  }
}

function locksOf({ retention, minDays, minBodyDays }: MirrorFlags): LockExpectation | undefined {
  if (retention === undefined) {
    if (minDays === undefined && minBodyDays === undefined) return undefined;
    throw new UsageError('--min-days and --min-body-days go with --retention');
  }
  if (retention !== 'compliance' && retention !== 'governance') {
    throw new UsageError(`--retention is compliance or governance, not ${retention}`);
  }
  const log = minDays ?? 1;
  return { mode: retention, days: { log, bodies: minBodyDays ?? log } };
}
