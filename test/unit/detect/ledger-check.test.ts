import { chmodSync, existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CheckResult } from '../../../src/detect/check-protocol.ts';
import type { Finding } from '../../../src/detect/finding.ts';
import { LedgerCheck } from '../../../src/detect/ledger-check.ts';
import type { LedgerOptions } from '../../../src/ledger/ledger.ts';
import { tamper as tamperWith } from '../../support/tamper.ts';
import { event, openTestLedger, places, tempDir } from '../ledger/temp-ledger.ts';

const SETTINGS = { intervalHours: 0, newEntriesMinutes: 0, cpuPercent: 100 };

async function checked(options: Partial<LedgerOptions> = {}, settings: object = {}) {
  const root = tempDir();
  const ledger = await openTestLedger(root, { checkpointIntervalMs: 10, ...options });
  const passes: [string, CheckResult][] = [];
  const found: Finding[] = [];
  const lines: string[] = [];
  const check = new LedgerCheck({
    settings: { ...SETTINGS, ...settings },
    ledgerDir: ledger.dir,
    vkey: ledger.vkey,
    head: () => ledger.head(),
    wall: () => 1_700_000_000_000_000,
    report: async (finding) => void found.push(finding),
    onChecked: (pass, result) => void passes.push([pass, result]),
    log: (_level, fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  });
  onTestFinished(() => check.close());
  const add = async (count: number) => {
    await ledger.append(
      'audit',
      Array.from({ length: count }, (_, i) => event({ i })),
    );
    while (ledger.head().signedSize < ledger.head().size) await sleep(5);
  };
  /** What somebody with the volume can do. */
  const tamper = (sql: string) => {
    chmodSync(places(root).shard, 0o600);
    tamperWith(places(root).shard, (db) => db.exec(sql));
  };
  return { root, ledger, check, passes, found, lines, add, tamper };
}

describe("the ledger's check of itself", () => {
  it('reads all of a live ledger, shard by shard, and finds it whole', async () => {
    const { check, add, passes, found } = await checked({ shardLimits: { entries: 10 } });
    for (let i = 0; i < 3; i++) await add(10);
    await check.run('full');
    expect(found).toEqual([]);
    expect(passes).toEqual([['full', { entries: expect.any(Number), problems: [], problemCount: 0 }]]);
    expect(passes[0]?.[1].entries).toBeGreaterThanOrEqual(30);
    expect(check.status()).toEqual({ wholeAt: 1_700_000_000_000, problems: [] });
  });

  it('says in one finding what somebody changed, and again with each check of everything', async () => {
    const { root, check, add, tamper, found, passes, ledger } = await checked({ shardLimits: { entries: 10 } });
    await add(20);
    while (ledger.shard === 0) await add(1);
    // Sealed: nobody else changes its file any more.
    while ((statSync(places(root).shard).mode & 0o777) !== 0o440) await sleep(10);
    tamper("UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), 'event', 'start') AS BLOB) WHERE seq = 7");
    await check.run('full');
    expect(found).toEqual([
      {
        rule: 'ledger-check',
        severity: 'critical',
        message: expect.stringContaining('problem'),
        time: '2023-11-14T22:13:20.000000Z',
        problems: expect.arrayContaining([expect.stringContaining('entry 7')]),
      },
    ]);
    expect(check.status().wholeAt).toBeUndefined();
    expect(check.status().problems.length).toBeGreaterThan(0);
    await add(1);
    await check.run('new');
    expect(found).toHaveLength(1);
    expect(check.status().problems.length).toBeGreaterThan(0);
    await check.run('full');
    expect(found).toHaveLength(2);
    expect(passes.map(([pass, { problemCount }]) => [pass, problemCount > 0])).toEqual([
      ['full', true],
      ['new', false],
      ['full', true],
    ]);
  });

  it('finds that entries are gone which this process has signed', async () => {
    const { check, add, tamper, found, ledger } = await checked();
    await add(5);
    const size = ledger.head().size;
    await add(5);
    tamper(
      `DELETE FROM checkpoint WHERE size > ${size}; DELETE FROM pack WHERE first >= ${size}; DELETE FROM leaf WHERE seq >= ${size}`,
    );
    await check.run('full');
    expect(found[0]?.problems?.join()).toMatch(/checkpoint from outside|rolled-back/);
  });

  it('looks only at what is new in between, over the end of a shard', async () => {
    const { check, add, passes, ledger } = await checked({ shardLimits: { entries: 10 } });
    await add(5);
    await check.run('new');
    await check.run('new');
    await add(10);
    await add(10);
    await check.run('new');
    expect(ledger.shard).toBeGreaterThan(0);
    expect(passes.map(([pass, { problemCount }]) => [pass, problemCount])).toEqual([
      ['new', 0],
      ['new', 0],
    ]);
  });

  it('runs by itself at its interval, and ends at once when the pod stops, asleep or not', async () => {
    const { check, add, passes, found } = await checked({}, { newEntriesMinutes: 0.0005, cpuPercent: 10 });
    await add(40_000);
    while (passes.length === 0) await sleep(20);
    expect(passes[0]?.[0]).toBe('new');
    void check.run('full');
    await check.close();
    expect(found).toEqual([]);
  }, 60_000);

  it('tells when there is nothing left to check', async () => {
    const { check, root, found } = await checked();
    const other = new LedgerCheck({
      settings: SETTINGS,
      ledgerDir: `${root}/elsewhere`,
      vkey: 'x',
      head: () => ({ shard: 0, size: 1 }),
      wall: () => 0,
      report: async (finding) => void found.push(finding),
      onChecked: () => undefined,
      log: () => undefined,
    });
    expect(existsSync(`${root}/elsewhere`)).toBe(false);
    await other.run('full');
    expect(found[0]?.problems).toEqual([expect.stringMatching(/KEY_INVALID|LEDGER_NOT_FOUND/)]);
    await other.close();
    await check.close();
  });
});
