// How long a mirror takes to verify, and a ledger to restore from it: `node bench/restore.ts [entries]` (default a million), in a folder of
// the temporary directory that is removed. Prints a line a step and, last, one JSON object.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOrCreateKey } from '../src/ledger/key.ts';
import { openLedger } from '../src/ledger/ledger.ts';
import { systemClock } from '../src/lib/clock.ts';
import { LedgerPush } from '../src/mirror/ledger-push.ts';
import { Patience } from '../src/mirror/patience.ts';
import { restoreLedger } from '../src/mirror/restore.ts';
import { DirectoryStore } from '../src/mirror/stores/directory.ts';
import { Uploader } from '../src/mirror/uploader.ts';
import { verifyMirror } from '../src/mirror/verify-mirror.ts';

const BATCH = 400;
/** With it an event has about as many bytes as a real one. */
const FILLER = 'kubernetes audit event '.repeat(50);

const entries = Number(process.argv[2] ?? 1_000_000);
const root = mkdtempSync(join(tmpdir(), 'sealgate-bench-restore-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const key = loadOrCreateKey(join(root, 'keys', 'ledger.key'), 'bench.example/cluster/0');
const store = new DirectoryStore(join(root, 'mirror'), systemClock());

await timed('record', record);
await timed('push', push);
const verifySeconds = await timed('verify the mirror', async () => {
  const { status } = await verifyMirror(store, { keys: [key.vkey], nowMs: Date.now() });
  if (status !== 'whole') throw new Error(`the mirror is ${status}`);
});
const restoreSeconds = await timed('restore', async () => {
  await restoreLedger(store, join(root, 'restored'), { keys: [key.vkey] });
});
const rssMib = Math.round(process.memoryUsage().rss / 2 ** 20);
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`;
console.log(JSON.stringify({ entries, verify_s: verifySeconds, restore_s: restoreSeconds, rss_mib: rssMib, machine }));

async function record(): Promise<void> {
  const ledger = await openLedger({
    dir: join(root, 'ledger'),
    key,
    version: 'bench',
    settingsDigest: `sha256:${'0'.repeat(64)}`,
    onFatal: (error) => {
      throw error;
    },
  });
  for (let at = 0; at < entries; at += BATCH) {
    const count = Math.min(BATCH, entries - at);
    const body = (n: number) => Buffer.from(JSON.stringify({ n, random: [Math.random(), Math.random()], FILLER }));
    await ledger.append(
      'audit',
      Array.from({ length: count }, (_, i) => ({ kind: 'event', body: body(at + i) })),
    );
  }
  await ledger.close('done');
}

async function push(): Promise<void> {
  const patience = new Patience({
    signal: new AbortController().signal,
    onFailure: (error) => {
      throw error;
    },
    onSuccess: () => undefined,
    random: Math.random,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    now: () => performance.now(),
  });
  const log = (): void => undefined;
  const uploader = new Uploader(store, patience, 8, log);
  await new LedgerPush({ ledgerDir: join(root, 'ledger'), uploader, log, onPushed: () => undefined }).round(true);
}

async function timed(what: string, work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  console.log(`${what.padEnd(18)} ${seconds} s, ${Math.round(entries / seconds)} entries/s`);
  return seconds;
}
