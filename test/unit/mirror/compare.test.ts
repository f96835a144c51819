// A ledger held against its mirror.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyLedger } from '../../../src/ledger/copy.ts';
import type { VerifyReport } from '../../../src/ledger/verify-report.ts';
import { LedgerComparison } from '../../../src/mirror/compare.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { mirrorShard } from '../../support/mirror-of.ts';
import { event, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

interface Pair {
  readonly root: string;
  readonly store: MemoryStore;
  readonly vkey: string;
}

async function grow(root: string, count: number, change = ''): Promise<string> {
  const ledger = await openTestLedger(root);
  await ledger.append(
    'audit',
    Array.from({ length: count }, (_, n) => event(n === 20 ? 'x'.repeat(70_000) : { n, change })),
  );
  await ledger.close('done');
  return ledger.vkey;
}

async function compare({ root, store, vkey }: Pair, dir = places(root).dir): Promise<VerifyReport> {
  const comparison = new LedgerComparison(dir);
  try {
    return await verifyMirror(store, { keys: [vkey], nowMs: 0, compare: comparison });
  } finally {
    comparison.close();
  }
}

async function pair(): Promise<Pair> {
  const root = tempDir();
  const vkey = await grow(root, 600);
  const store = new MemoryStore();
  await mirrorShard(store, places(root).shard);
  return { root, store, vkey };
}

const brief = ({ exitCode, findings }: VerifyReport) => ({
  exitCode,
  found: findings.map(({ code, from, to }) => `${code} ${from}-${to}`),
});

describe('a ledger beside its mirror', () => {
  it('has the same leaves and bodies', async () => {
    const report = await compare(await pair());
    expect(brief(report)).toEqual({ exitCode: 0, found: [] });
    expect(report.notes).toContain('shard 0: ledger and mirror: 602 entries the same leaves and bodies');
  });

  it('is ahead by what was not pushed yet', async () => {
    const two = await pair();
    await grow(two.root, 10);
    const report = await compare(two);
    expect(brief(report)).toEqual({ exitCode: 0, found: [] });
    expect(report.notes).toContain('shard 0: the ledger is ahead of the mirror by 12 entries');
  });

  it('that was put back to an older copy lacks what the mirror has', async () => {
    const two = await pair();
    const old = join(two.root, 'old');
    mkdirSync(old);
    await copyLedger(places(two.root).dir, old);
    await grow(two.root, 10);
    const store = new MemoryStore();
    await mirrorShard(store, places(two.root).shard);
    expect(brief(await compare({ ...two, store }, old))).toEqual({ exitCode: 11, found: ['rolled-back 602-613'] });
  });

  it('that went its own way differs from the first entry that is another', async () => {
    const two = await pair();
    const copy = join(two.root, 'copy', 'ledger');
    await copyLedger(places(two.root).dir, copy);
    await grow(two.root, 300, 'one');
    await mirrorShard(two.store, places(two.root).shard);
    // The same key, another history from entry 602 on.
    const ledger = await openTestLedger(two.root, { dir: copy });
    await ledger.append('audit', [event('other')]);
    await ledger.close('done');
    expect(brief(await compare(two, copy))).toEqual({
      exitCode: 10,
      found: ['mirror-differs 602-604', 'rolled-back 605-903'],
    });
  });
});
