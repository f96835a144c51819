// Whether a ledger kept its promise: it starts the ordinary way, goes on, holds every acknowledged entry, and verifies.
import { join } from 'node:path';
import { loadOrCreateKey } from '../../src/ledger/key.ts';
import type { Recovery } from '../../src/ledger/messages.ts';
import { openShard } from '../../src/ledger/open-shard.ts';
import { LedgerReader } from '../../src/ledger/reader.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { LOG_NAME } from './plan.ts';
import type { Journal } from './run.ts';

/** Starts as the writer does, appends one entry and closes; then everything is looked at. Returns what is wrong. */
export function judge(root: string, journal: Journal): { problems: string[]; recovery?: Recovery } {
  let recovery: Recovery | undefined;
  try {
    recovery = restart(root);
  } catch (error) {
    return { problems: [`it does not start any more: ${error}`] };
  }
  return { problems: [...missing(root, journal), ...unverified(root)], recovery };
}

/** Start, one entry, stop, by the code that the writer runs. Throws what opening throws. */
export function restart(root: string): Recovery {
  const key = loadOrCreateKey(join(root, 'keys', 'ledger.key'), LOG_NAME);
  const options = {
    dir: join(root, 'ledger'),
    logName: key.name,
    vkey: key.vkey,
    privateKey: key.privateKey,
    version: '0.0.0-chaos',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
  };
  const { store, lock, recovery } = openShard(options, systemClock());
  try {
    store.append([{ kind: 'event', body: Buffer.from('{"source":"judge"}') }], true);
    store.append([{ kind: 'stop', body: Buffer.from('{"reason":"judged"}') }], true);
  } finally {
    store.close();
    lock.release();
  }
  return recovery;
}

/** The acknowledged entries that are not there as they were acknowledged; at most a few of them are named. */
export function missing(root: string, journal: Journal): string[] {
  const problems: string[] = [];
  let lost = 0;
  const reader = LedgerReader.open(join(root, 'ledger'));
  try {
    for (const [shard, seq, leafHash, marker] of journal.values()) {
      const entry = reader.get(shard, seq);
      const found = entry === undefined ? 'nothing' : markerOf(entry.body);
      if (entry?.leafHash === leafHash && found === marker) continue;
      lost += 1;
      if (lost <= 3) problems.push(`entry ${shard}/${seq} was acknowledged as ${marker}; there is ${found}`);
    }
  } catch (error) {
    problems.push(`it cannot be read: ${error}`);
  } finally {
    reader.close();
  }
  if (lost > 3) problems.push(`and ${lost - 3} more acknowledged entries`);
  return problems;
}

function markerOf(body: Buffer): string {
  return (JSON.parse(body.toString()) as { event?: { marker?: string } }).event?.marker ?? 'another entry';
}

/** What the verifier finds. */
export function unverified(root: string): string[] {
  const key = loadOrCreateKey(join(root, 'keys', 'ledger.key'), LOG_NAME);
  const report = verifyLedger(join(root, 'ledger'), { keys: [key.vkey] });
  if (report.status === 'whole') return [];
  return [`it does not verify: ${report.status}`, ...report.findings.slice(0, 3).map(({ message }) => message)];
}
