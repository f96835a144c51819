// Rebuilds a ledger from its mirror. What is written was proven on the way; then all of it is verified as any ledger is, with the
// verifier that knows nothing of the mirror, before it gets its name.

import { verifyLedger } from '../ledger/verify.ts';
import { NoteJudge } from '../ledger/verify-note.ts';
import type { ShardReport, VerifyReport } from '../ledger/verify-report.ts';
import { messageOf, SealgateError } from '../lib/errors.ts';
import { isExport } from './list-shards.ts';
import { RestoreFolder } from './restore-folder.ts';
import { ShardBuilder } from './restore-shard.ts';
import type { ObjectStore } from './stores/store.ts';
import { verifyMirror } from './verify-mirror.ts';

export interface RestoreOptions {
  /** Verifying keys of one log, as vkeys. */
  readonly keys: readonly string[];
  /** Only this shard. */
  readonly shard?: number;
  readonly parallel?: number;
  readonly onProgress?: (progress: { step: 'restore' | 'verify'; shard: number; done: number; total: number }) => void;
}

export interface RestoreResult {
  readonly shards: readonly { readonly shard: number; readonly entries: number }[];
  /** What was found in the mirror on the way; undefined when an earlier run had got everything. */
  readonly mirror: VerifyReport | undefined;
}

/**
 * Restores the log of the keys into `dir`, which is new, empty, or holds this restore, interrupted.
 * @throws SealgateError RESTORE_FAILED, RESTORE_UNPROVEN, LEDGER_NOT_FOUND, KEY_INVALID, and MIRROR_… when the store does not answer
 */
export async function restoreLedger(store: ObjectStore, dir: string, options: RestoreOptions): Promise<RestoreResult> {
  const { shard } = options;
  const names = new Set(new NoteJudge(options.keys).keys.map(({ name }) => name));
  const [log] = names;
  if (log === undefined || names.size > 1) {
    throw new SealgateError(
      'KEY_INVALID',
      `the keys are of ${names.size} logs: a restore is of one (${[...names].join(', ')})`,
    );
  }
  if (await isExport(store)) {
    const text = `${store.url} holds one shard at its top: give the place above, that ${log} lies under; an export has no bodies and cannot be restored`;
    throw new SealgateError('RESTORE_FAILED', text);
  }
  const folder = RestoreFolder.open(dir, { url: store.url, log, shard: shard ?? 'all' });
  let mirror: VerifyReport | undefined;
  if (!folder.verified) {
    const resumed = await build(store, folder, log, options);
    mirror = resumed.mirror;
    try {
      verifyBuilt(folder, mirror, options);
    } catch (error) {
      if (!resumed.resumed) throw error;
      // What an earlier run had left was not what it had written: a power cut takes what was not synced.
      folder.startOver();
      mirror = (await build(store, folder, log, options)).mirror;
      verifyBuilt(folder, mirror, options);
    }
  }
  folder.finish();
  const shards = (mirror?.shards ?? [])
    .filter(isOurs)
    .map(({ shard: number, entries }) => ({ shard: number, entries }));
  return { shards, mirror };
}

async function build(
  store: ObjectStore,
  folder: RestoreFolder,
  log: string,
  options: RestoreOptions,
): Promise<{ mirror: VerifyReport; resumed: boolean }> {
  const { onProgress, shard, parallel } = options;
  let resumed = false;
  let open: ShardBuilder | undefined;
  const end = (): void => {
    open?.finish();
    open?.close();
    open = undefined;
  };
  try {
    const mirror = await verifyMirror(store, {
      keys: options.keys,
      nowMs: 0,
      ...(shard === undefined ? {} : { shard }),
      ...(parallel === undefined ? {} : { parallel }),
      ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress({ step: 'restore', ...progress }) }),
      sink: ({ number }) => {
        end();
        open = openBuilder(folder, log, number);
        const { resume } = open;
        resumed ||= resume !== undefined;
        return { sink: open, ...(resume === undefined ? {} : { resume }) };
      },
    });
    end();
    // Of what is not the log's nothing was proven.
    for (const { shard: number, origin } of mirror.shards)
      if (origin === undefined) folder.discard(folder.pathOf(number));
    if (mirror.history !== 'whole' || mirror.status === 'wrong-key') throw unproven(store.url, mirror);
    return { mirror, resumed };
  } catch (error) {
    throw writeError(folder.dir, error);
  } finally {
    open?.close();
  }
}

function openBuilder(folder: RestoreFolder, log: string, number: number): ShardBuilder {
  const shard = { path: folder.pathOf(number), log, number };
  try {
    return ShardBuilder.open(shard);
  } catch (error) {
    if (!isDamage(error)) throw error;
    folder.discard(shard.path);
    return ShardBuilder.open(shard);
  }
}

/** Verifies what was built. The keys are those that the mirror's links have led to. Throws RESTORE_UNPROVEN. */
function verifyBuilt(folder: RestoreFolder, mirror: VerifyReport, { keys, shard, onProgress }: RestoreOptions): void {
  const all = [...new Set([...keys, ...mirror.shards.flatMap(({ vkey }) => (vkey === undefined ? [] : [vkey]))])];
  const report = verifyLedger(shard === undefined ? folder.building : folder.pathOf(shard), {
    keys: all,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress({ step: 'verify', ...progress }) }),
  });
  const differs = mirror.shards.filter(isOurs).find((one) => {
    const built = report.shards.find((other) => other.shard === one.shard);
    return built?.root !== one.root || built?.entries !== one.entries;
  });
  if (report.status === 'whole' && differs === undefined) return;
  const [first] = report.findings;
  const why = first?.message ?? `shard ${differs?.shard} is not what the mirror has`;
  throw new SealgateError('RESTORE_UNPROVEN', `what was built in ${folder.building} is not whole: ${why}`);
}

/** Not something that somebody put beside the log. */
function isOurs({ origin }: ShardReport): boolean {
  return origin !== undefined;
}

function unproven(url: string, mirror: VerifyReport): SealgateError {
  const lost = mirror.findings.find(({ history }) => history === 'lost') ?? mirror.findings[0];
  const text = `${url} does not prove all that was recorded (${mirror.findingCount} findings): ${lost?.message ?? mirror.status}. Run sealgate verify on it`;
  return new SealgateError('RESTORE_UNPROVEN', text);
}

function isDamage(error: unknown): boolean {
  if (error instanceof SealgateError) return /^LEDGER_(CORRUPT|NOT_A_LEDGER)$/.test(error.code);
  return error instanceof Error && 'code' in error && /^SQLITE_(CORRUPT|NOTADB)/.test(String(error.code));
}

function writeError(dir: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_'))) return error;
  return new SealgateError('RESTORE_FAILED', `the restore cannot be written to ${dir}: ${messageOf(error)}`, {
    cause: error,
  });
}
