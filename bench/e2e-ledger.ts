// After the load: is the ledger whole, and does it hold a decision on every pod that Sealgate was asked about?
import { join } from 'node:path';
import { LedgerReader } from '../src/ledger/reader.ts';
import { sealgate } from '../test/support/sealgate.ts';

export interface LedgerFigures {
  readonly requests: number;
  readonly decisions: number;
  readonly events: number;
}

/** Throws when `sealgate verify` does not call it whole, or when a name has no decision. */
export async function checkLedger(dataDir: string, names: readonly string[]): Promise<LedgerFigures> {
  const verified = await sealgate('verify', dataDir, '--key', join(dataDir, 'keys', 'ledger.vkey'));
  if (verified.code !== 0) throw new Error(`sealgate verify: ${verified.code}\n${verified.stdout}${verified.stderr}`);
  const missing = new Set(names);
  let decisions = 0;
  let events = 0;
  const reader = LedgerReader.open(join(dataDir, 'ledger'));
  try {
    for (const { number: shard } of reader.shards()) {
      for (const entry of reader.entries(shard, 0)) {
        if (entry.leaf.kind === 'event') events += 1;
        if (entry.leaf.kind !== 'decision') continue;
        decisions += 1;
        const { review } = JSON.parse(entry.body.toString()) as { review: { request: { name?: string } } };
        missing.delete(review.request.name ?? '');
      }
    }
  } finally {
    reader.close();
  }
  if (missing.size > 0) {
    const some = [...missing].slice(0, 5).join(', ');
    throw new Error(
      `the ledger has no decision on ${missing.size} of ${names.length} pods that were created: ${some} …`,
    );
  }
  return { requests: names.length, decisions, events };
}
