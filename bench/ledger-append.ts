// The ledger's append path against a bare better-sqlite3 loop that inserts the same bytes with the same durability and one
// SHA-256 each; both in turn, medians. Prints one JSON object. `node bench/ledger-append.ts [--quick]`
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Database from 'better-sqlite3';
import { loadOrCreateKey } from '../src/ledger/key.ts';
import { openLedger } from '../src/ledger/ledger.ts';
import { auditEvent, seeded } from './audit-events.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' }, events: { type: 'string' } },
});
const ROUNDS = Number(values.rounds ?? (values.quick ? 3 : 7));
const EVENTS = Number(values.events ?? (values.quick ? 20_000 : 60_000));
const BATCH = 400;
/** Batches that wait at the same time: a kube-apiserver sends up to 10 a second without waiting for answers. */
const IN_FLIGHT = 4;

interface Result {
  readonly perSecond: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
}

const round = (value: number, digits = 3): number => Number(value.toPrecision(digits));

function makeBatches(seed: number): Buffer[][] {
  const next = seeded(seed);
  const batches: Buffer[][] = [];
  for (let i = 0; i < EVENTS; i += BATCH) {
    batches.push(Array.from({ length: BATCH }, (_, k) => Buffer.from(auditEvent(next, 1_770_000_000_000 + i + k))));
  }
  return batches;
}

async function measure(run: (dir: string) => Promise<void>): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
  try {
    const cpu = process.cpuUsage();
    const began = performance.now();
    await run(dir);
    const seconds = (performance.now() - began) / 1000;
    const used = process.cpuUsage(cpu);
    const bytes = readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.includes('.sqlite') && !entry.name.endsWith('-shm'))
      .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    return { perSecond: EVENTS / seconds, bytes, cpuSeconds: (used.user + used.system) / 1e6 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** One thread, one transaction a batch, a hash chain, SQLite's own WAL checkpoints. */
function bareLoop(batches: readonly Buffer[][]): Promise<Result> {
  return measure((dir) => {
    const db = new Database(join(dir, 'bare.sqlite'));
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.exec('CREATE TABLE event (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL) STRICT');
    const insert = db.prepare('INSERT INTO event (hash, body) VALUES (?, ?)');
    let prev = Buffer.alloc(32);
    const commit = db.transaction((batch: readonly Buffer[]) => {
      for (const body of batch) {
        prev = createHash('sha256').update(prev).update(body).digest();
        insert.run(prev, body);
      }
    });
    for (const batch of batches) commit(batch);
    db.close();
    return Promise.resolve();
  });
}

async function ledger(batches: readonly Buffer[][], waits: number[]): Promise<Result> {
  let close: () => Promise<void> = () => Promise.resolve();
  const result = await measure(async (dir) => {
    const key = loadOrCreateKey(join(dir, 'keys', 'ledger.key'), 'bench.example/c/0');
    const opened = await openLedger({
      dir: join(dir, 'ledger'),
      key,
      version: 'bench',
      settingsDigest: 'none',
      onFatal: (error) => {
        throw error;
      },
    });
    close = () => opened.close('done');
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
        const began = performance.now();
        await opened.append(
          'audit',
          batch.map((body) => ({ kind: 'event', body })),
        );
        waits.push(performance.now() - began);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    await close();
  });
  return result;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const bare: Result[] = [];
const ours: Result[] = [];
const waits: number[] = [];
let jsonBytes = 0;
for (let i = 0; i < ROUNDS; i++) {
  const batches = makeBatches(i + 1);
  jsonBytes = batches.flat().reduce((sum, { length }) => sum + length, 0);
  bare.push(await bareLoop(batches));
  ours.push(await ledger(batches, waits));
}
const ratios = ours.map(({ perSecond }, i) => perSecond / (bare[i]?.perSecond ?? Number.NaN));
console.log(
  JSON.stringify({
    what: `${EVENTS} audit events of ${Math.round(jsonBytes / EVENTS)} B in batches of ${BATCH}, ${ROUNDS} rounds, medians; opening and closing included`,
    machine: `${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}`,
    bare_per_s: round(median(bare.map(({ perSecond }) => perSecond))),
    ledger_per_s: round(median(ours.map(({ perSecond }) => perSecond))),
    ratio: round(median(ratios)),
    ratios: ratios.map((ratio) => round(ratio)),
    bare_cpu_s: round(median(bare.map(({ cpuSeconds }) => cpuSeconds))),
    ledger_cpu_s: round(median(ours.map(({ cpuSeconds }) => cpuSeconds))),
    batch_wait_p50_ms: round(median(waits)),
    disk_per_json_byte: round(median(ours.map(({ bytes }) => bytes)) / jsonBytes),
    bare_disk_per_json_byte: round(median(bare.map(({ bytes }) => bytes)) / jsonBytes),
  }),
);
