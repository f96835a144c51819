// Reads one sealed shard back from the store and holds it against the one here, entry by entry: before this one may go. The store
// is taken for hostile, as by `sealgate verify`, and nothing that this finds is excused.
import { TreeReader } from '../ledger/tree-reader.ts';
import { LedgerComparison } from './compare.ts';
import { vkeyOf } from './judge.ts';
import type { LockExpectation } from './lock-check.ts';
import type { ObjectStore } from './stores/store.ts';
import { verifyMirror } from './verify-mirror.ts';

export interface ReadBackOptions {
  readonly ledgerDir: string;
  readonly shard: { readonly number: number; readonly path: string };
  /** Locks that every object has to have; undefined where none are asked for. */
  readonly locks: LockExpectation | undefined;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** Bundles that are read ahead. */
  readonly parallel: number;
  readonly signal: AbortSignal;
}

export type ReadBack =
  /** All of it is there as it is here; the root in hex. */
  | { readonly whole: true; readonly size: number; readonly root: string }
  | { readonly whole: false; readonly why: string };

/** Throws MIRROR_… when the store does not answer, what reading the ledger throws, and the reason of the signal. */
export async function readBack(store: ObjectStore, options: ReadBackOptions): Promise<ReadBack> {
  const { ledgerDir, shard, locks, nowMs, parallel, signal } = options;
  const local = endOf(shard.path);
  if (local.signed !== local.size) return broken(`${local.size - local.signed} entries here are not signed`);
  const compare = new LedgerComparison(ledgerDir);
  try {
    const report = await verifyMirror(store, {
      keys: [local.vkey],
      shard: shard.number,
      compare,
      nowMs,
      parallel,
      ...(locks === undefined ? {} : { locks }),
      onProgress: () => signal.throwIfAborted(),
    });
    const [finding] = report.findings;
    if (finding !== undefined) {
      const others = report.findingCount === 1 ? '' : ` (and ${report.findingCount - 1} other findings)`;
      return broken(`${finding.code}: ${finding.message}${others}`);
    }
    const [there] = report.shards;
    if (report.status !== 'whole' || there === undefined) return broken(`its verification says ${report.status}`);
    if (there.entries !== local.size) return broken(`${there.entries} of ${local.size} entries are there`);
    if (there.bodies !== local.size) return broken(`${there.bodies} of ${local.size} bodies are there`);
    if (there.root !== local.root.toString('base64')) return broken('it has another root there');
    return { whole: true, size: local.size, root: local.root.toString('hex') };
  } finally {
    compare.close();
  }
}

function broken(why: string): ReadBack {
  return { whole: false, why };
}

function endOf(path: string) {
  const reader = TreeReader.open(path);
  try {
    const { size: signed, root } = reader.head();
    return { vkey: vkeyOf(reader), size: reader.size(), signed, root };
  } finally {
    reader.close();
  }
}
