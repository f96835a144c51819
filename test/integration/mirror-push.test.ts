// The mirror's thread against a real Object Lock server: what is pushed is locked as its class asks.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadOrCreateKey } from '../../src/ledger/key.ts';
import { openLedger } from '../../src/ledger/ledger.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Mirror, type PushedMessage, startMirror } from '../../src/mirror/mirror.ts';
import { openStore } from '../../src/mirror/stores/open.ts';
import { CREDENTIALS, type ObjectLockServer, startObjectLockServer } from '../support/object-lock-server.ts';
import { collect } from '../support/store-suite.ts';

const LOG_NAME = 'log.example/cluster/0';
const RETENTION = { mode: 'compliance', logDays: 30, bodiesDays: 20, partialDays: 2, legalHold: false } as const;
const DAY_MS = 86_400_000;

describe('a ledger pushed to a bucket with Object Lock', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-push-'));
  let server: ObjectLockServer;
  let mirror: Mirror | undefined;

  beforeAll(async () => {
    for (const [name, value] of Object.entries(CREDENTIALS)) vi.stubEnv(name, value);
    server = await startObjectLockServer();
  }, 120_000);
  afterAll(async () => {
    await mirror?.close(0);
    await server?.stop();
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  });

  it('is whole there, with full, last and partial objects locked as they should be', async () => {
    const bucket = await server.bucket();
    const url = `s3://${bucket}/audit`;
    const s3 = { endpoint: server.endpoint, region: 'us-east-1', pathStyle: true };
    const ledger = await openLedger({
      dir: join(dir, 'ledger'),
      key: loadOrCreateKey(join(dir, 'ledger.key'), LOG_NAME),
      version: '0.0.0-test',
      settingsDigest: `sha256:${'0'.repeat(64)}`,
      checkpointIntervalMs: 50,
      shardLimits: { entries: 300 },
      onFatal: (error) => {
        throw error;
      },
    });
    const pushed: PushedMessage[] = [];
    const lines: string[] = [];
    mirror = startMirror({
      data: { ledgerDir: ledger.dir, url, retention: RETENTION, s3, intervalMs: 100, parallel: 4 },
      log: (level, fields, message) => void lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
      onPushed: (one) => void pushed.push(one),
      onStatus: () => undefined,
    });
    for (let i = 0; i < 5; i++) {
      await ledger.append(
        'audit',
        Array.from({ length: 80 }, (_, j) => ({ kind: 'event' as const, body: Buffer.from(`{"i":${i},"j":${j}}`) })),
      );
      await sleep(200);
    }
    await ledger.close('done');
    const head = ledger.head();
    await mirror.close(30_000);
    mirror = undefined;
    expect(lines).toEqual([]);
    expect(pushed.at(-1)).toMatchObject({ shard: head.shard, size: head.size, url });
    expect(head.shard).toBeGreaterThan(0);

    const store = openStore(url, { clock: systemClock(), s3 });
    const daysOf = async (key: string): Promise<number> => {
      const newest = (await collect(store.versions(key))).find((one) => one.key === key && one.newest);
      const lock = await store.retention(key, newest?.version ?? '');
      expect(lock, key).toMatchObject({ mode: 'compliance' });
      return Math.round(((lock?.until?.getTime() ?? 0) - Date.now()) / DAY_MS);
    };
    const sealed = pushed.findLast(({ shard }) => shard === 0)?.size ?? 0;
    const rest = sealed - 256;
    expect(rest).toBeGreaterThan(0);
    const zero = `${LOG_NAME}/0`;
    for (const path of [
      'tile/0/000',
      'tile/entries/000',
      `tile/0/001.p/${rest}`,
      `tile/entries/001.p/${rest}`,
      'checkpoint',
      `checkpoints/${sealed}`,
    ]) {
      expect(await daysOf(`${zero}/${path}`), path).toBe(RETENTION.logDays);
    }
    expect(await daysOf(`${zero}/bodies/000`)).toBe(RETENTION.bodiesDays);
    expect(await daysOf(`${zero}/bodies/001.p/${rest}`)).toBe(RETENTION.bodiesDays);
    const open = `${LOG_NAME}/${head.shard}`;
    for (const path of ['checkpoint', `tile/entries/000.p/${head.size}`, `bodies/000.p/${head.size}`]) {
      expect(await daysOf(`${open}/${path}`), path).toBe(RETENTION.partialDays);
    }
    store.close();
  });
});
