// The whole life of a shard against a real Object Lock server: filled, mirrored, read back, removed from the volume, found in the mirror,
// restored. The process is killed at any moment around the removals.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { serveMirror } from '../../src/cli/query-mirror.ts';
import { listShards } from '../../src/ledger/files.ts';
import { loadKey } from '../../src/ledger/key.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { LedgerComparison } from '../../src/mirror/compare.ts';
import { restoreLedger } from '../../src/mirror/restore.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import { verifyMirror } from '../../src/mirror/verify-mirror.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';

const CHILD = fileURLToPath(new URL('../support/retention-child.ts', import.meta.url));
const LOG_NAME = 'log.example/cluster/0';

describe('shards that leave the volume', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-retention-'));
  const ledgerDir = join(dir, 'ledger');
  let server: ObjectLockServer;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
    server = await startObjectLockServer();
  }, 120_000);
  afterAll(async () => {
    child?.kill('SIGKILL');
    await server?.stop();
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  });

  it('are whole in the mirror, however often the process is killed on the way', async () => {
    const url = `s3://${await server.bucket()}/audit`;
    const s3 = { endpoint: server.endpoint, region: 'us-east-1', pathStyle: true };
    const oldest = () => (existsSync(ledgerDir) ? (listShards(ledgerDir)[0]?.number ?? 0) : 0);
    const said: string[] = [];
    const start = () => {
      const env = { ...process.env, ...CREDENTIALS };
      const started = spawn(process.execPath, [CHILD, JSON.stringify({ dir, url, s3 })], { env });
      started.stderr.on('data', (chunk: Buffer) => void said.push(chunk.toString()));
      return started;
    };
    const kill = async (one: ChildProcess) => {
      const ended = new Promise((resolve) => one.once('exit', resolve));
      one.kill('SIGKILL');
      await ended;
    };
    child = start();
    // Killed as soon as a shard has gone, and a little later each time: before, in and after the next removal.
    for (const [gone, later] of [
      [1, 0],
      [2, 60],
    ] as const) {
      await vi.waitUntil(() => oldest() >= gone, { timeout: 60_000, interval: 5 });
      await sleep(later);
      await kill(child);
      child = start();
    }
    await vi.waitUntil(() => oldest() >= 4, { timeout: 60_000, interval: 50 });
    const { vkey } = loadKey(join(dir, 'ledger.key'), LOG_NAME);
    await kill(child);
    child = undefined;
    expect(said.filter((line) => line.includes('MIRROR_NOT_WHOLE'))).toEqual([]);

    const here = verifyLedger(ledgerDir, { keys: [vkey] });
    expect(here).toMatchObject({ status: 'whole', findings: [] });
    expect(here.notes.join()).toMatch(/and what was before it were removed/);
    const store = openStore(url, { clock: systemClock(), s3 });
    const compare = new LedgerComparison(ledgerDir);
    const there = await verifyMirror(store, {
      keys: [vkey],
      compare,
      locks: { mode: 'compliance', days: { log: 30, bodies: 20 } },
      nowMs: Date.now(),
    });
    compare.close();
    expect(there).toMatchObject({ status: 'whole', findings: [] });
    expect(there.notes.join()).toContain('shard 0 is not in');

    await restoreLedger(store, join(dir, 'restored'), { keys: [vkey], shard: 0 });
    store.close();
    const { region, endpoint } = s3;
    const served = await serveMirror(url, { key: [vkey], shard: 0, region, endpoint, pathStyle: true });
    const answer = await (await fetch(`${served.url}/v1/entries?kind=start`)).json();
    await served.close();
    expect(answer).toMatchObject({ entries: [{ shard: 0, seq: 0, kind: 'start' }] });
  }, 180_000);
});
