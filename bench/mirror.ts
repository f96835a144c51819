// How fast a pod mirrors its ledger into a real Object Lock server (versitygw) beside it, with what lag, memory, requests and cost,
// and how fast it comes back: `make bench-mirror [ARGS=--quick]`. `--entries N` is the size of the ledger that is there already.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CREDENTIALS, startObjectLockServer } from '../test/support/object-lock-server.ts';
import { eventSource } from './audit-events.ts';
import { send } from './load.ts';
import { catchUp, restore, stream } from './mirror-stages.ts';
import { round } from './numbers.ts';
import { mark, requestsSince } from './requests.ts';
import { dayCost, PRICES, scaled } from './s3-prices.ts';
import { startServer } from './server.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, entries: { type: 'string' } } });
const FULL = { entries: 1_000_000, interval: 10, streamSeconds: 40, quietSeconds: 40 };
const QUICK = { entries: 40_000, interval: 2, streamSeconds: 7, quietSeconds: 6 };
const usual = values.quick ? QUICK : FULL;
const sizes = { ...usual, entries: Number(values.entries ?? usual.entries) };
/** What has to be kept up with, entries a second. */
const AIM = 20_000;
/** The stream whose day is priced: entries a second, and the default of mirror.intervalSeconds. */
const DAY = { entriesPerSecond: 100, intervalSeconds: 10, keptDays: { full: 400, partial: 35 } };
const LOG = 'bench.example/cluster/0';

const leftOut: string[] = [];
if (sizes.entries < FULL.entries) leftOut.push(`${sizes.entries} entries instead of ${FULL.entries}`);
if (values.quick) {
  leftOut.push(`pushes every ${QUICK.interval} s instead of ${FULL.interval}`);
  leftOut.push(`streams of ${QUICK.streamSeconds} and ${QUICK.quietSeconds} s instead of ${FULL.streamSeconds}`);
}
const tell = (text: string) => console.error(`· ${text}`);
const dir = mkdtempSync(join(tmpdir(), 'sealgate-bench-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const began = performance.now();
const s3 = await startObjectLockServer({ accessLog: true });
try {
  await measure();
} finally {
  await s3.stop();
}

async function measure(): Promise<void> {
  const url = `s3://${await s3.bucket()}/p`;
  const dataDir = join(dir, 'data');
  const mirrorFlags = {
    'mirror-url': url,
    'mirror-s3-endpoint': s3.endpoint,
    'mirror-s3-path-style': 'true',
    'mirror-interval-seconds': sizes.interval,
    // The bucket is thrown away.
    'mirror-retention-log-days': 1,
    'mirror-retention-bodies-days': 1,
    'mirror-retention-partial-days': 1,
  };
  const identity = { 'identity-domain': 'bench.example', 'identity-cluster': 'cluster', 'identity-replica': '0' };
  const source = eventSource(1);

  tell(`a ledger of ${sizes.entries} entries, without a mirror`);
  let server = await startServer(dataDir, [], { flags: identity });
  let made = 0;
  await send(server.audit, () => {
    if (made >= sizes.entries) return undefined;
    const batch = source.batch();
    made += batch.events.length;
    return batch;
  });
  await server.indexed();
  await server.stop();
  // As it is after a start: what recording that many entries took has nothing to do with the mirror.
  server = await startServer(dataDir, [], { flags: identity });
  const entries = await server.indexed();
  const withoutMib = await mostOf(() => server.rssMib(), 3000);
  await server.stop();

  tell('the mirror catches up');
  const start = mark(s3.accessLog);
  server = await startServer(dataDir, [], { flags: { ...identity, ...mirrorFlags }, env: CREDENTIALS });
  try {
    const caught = await catchUp(server, entries);
    const requests = requestsSince(s3.accessLog, start, `p/${LOG}`);
    await server.indexed();

    tell(`a stream of up to ${AIM} entries/s`);
    const fast = await stream(server, source, AIM, sizes.streamSeconds);
    tell(`a stream of ${DAY.entriesPerSecond} entries/s`);
    await sleep(sizes.interval * 1000);
    const quietMark = mark(s3.accessLog);
    await stream(server, source, DAY.entriesPerSecond, sizes.quietSeconds);
    const quiet = requestsSince(s3.accessLog, quietMark, `p/${LOG}`);
    await server.stop();

    tell('restore');
    const flags = ['--endpoint', s3.endpoint, '--path-style'];
    const restoreSeconds = restore(url, dir, join(dataDir, 'keys', 'ledger.vkey'), CREDENTIALS, flags);
    const restored = entries + fast.entries;

    const perEntry = scaled(requests.full, 1 / entries);
    const cost = dayCost({ ...DAY, perEntry, perPush: scaled(quiet.push, 1 / Math.max(1, quiet.pushes)) });
    const all = requests.full.puts + requests.full.gets + requests.push.puts + requests.push.gets;
    const figures = {
      entries_per_s: Math.round(caught.entries / caught.seconds),
      lag_s: round(fast.lagSeconds),
      rss_mib: Math.round(caught.rssMib - withoutMib),
      requests_per_million: Math.round((all / entries) * 1e6),
      bytes_per_million: Math.round(((requests.full.bytes + requests.push.bytes) / entries) * 1e6),
      mirror_us_per_entry: round(caught.threadMicros),
      helpers_us_per_entry: round(caught.helperMicros),
      keeps_up_with_per_core: Math.round(1e6 / caught.threadMicros),
      stream_per_s: Math.round(fast.perSecond),
      stream_core: round(fast.core),
      interval_s: sizes.interval,
      rest_s: round(fast.restSeconds),
      rss_with_mib: Math.round(caught.rssMib),
      rss_without_mib: Math.round(withoutMib),
      restore_per_s: Math.round(restored / restoreSeconds),
      restore_s_per_million: Math.round((restoreSeconds / restored) * 1e6),
      day_at_100_per_s: {
        puts: cost.puts,
        gets: cost.gets,
        requests_usd: round(cost.requestsUsd),
        full_gb: round(cost.fullGb),
        partial_gb: round(cost.partialGb),
        storage_usd: round(cost.storageUsd),
        prices: PRICES,
      },
      entries,
      left_out: leftOut,
      seconds: Math.round((performance.now() - began) / 1000),
      machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
      versions: { node: process.versions.node, versitygw: '1.8.0', commit: commit() },
    };
    const kb = (bytes: number) => `${Math.round(bytes / 1000).toLocaleString('en')} KB`;
    const rows: [string, string, string][] = [
      ['figure', 'seen', 'aim'],
      ['catching up, entries/s', `${figures.entries_per_s}`, `${AIM}`],
      ["the mirror's thread, µs an entry", `${figures.mirror_us_per_entry}`, '50'],
      ['so one core keeps up with, entries/s', `${figures.keeps_up_with_per_core}`, `${AIM}`],
      [`most lag beside ${figures.stream_per_s} entries/s, s`, `${figures.lag_s}`, `${sizes.interval + 1}`],
      ['memory while catching up, more than without, MiB', `${figures.rss_mib}`, '150'],
      ['requests per million entries', `${figures.requests_per_million}`, ''],
      ['bytes per million entries', kb(figures.bytes_per_million), ''],
      ['restore of a million entries, s', `${figures.restore_s_per_million}`, '180'],
      [
        'a day of 100 entries/s',
        `${cost.puts} PUT, ${cost.gets} GET, $${round(cost.requestsUsd)}; ${round(cost.fullGb)} GB, $${round(cost.storageUsd)} for ${DAY.keptDays.full} days`,
        '',
      ],
    ];
    const widths = [0, 1].map((column) => Math.max(...rows.slice(0, -1).map((row) => (row[column] as string).length)));
    for (const row of rows)
      console.log(
        row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd(),
      );
    if (leftOut.length > 0) console.log(`\nLeft out: ${leftOut.join('; ')}.`);
    console.log(JSON.stringify(figures));
  } catch (error) {
    await server.stop().catch(() => undefined);
    throw error;
  }
}

async function mostOf(read: () => number, ms: number): Promise<number> {
  let most = 0;
  for (const end = performance.now() + ms; performance.now() < end; await sleep(100)) most = Math.max(most, read());
  return most;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname }).trim();
  } catch {
    return 'unknown';
  }
}
