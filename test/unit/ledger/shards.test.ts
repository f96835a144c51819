import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Appended } from '../../../src/ledger/entry.ts';
import { shardFileName } from '../../../src/ledger/files.ts';
import type { Head, LedgerNotice } from '../../../src/ledger/messages.ts';
import { openShard } from '../../../src/ledger/open-shard.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { fullBecause, nextShard, RotationPostponed } from '../../../src/ledger/rotate.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { decision, event, openTestLedger, places, rejection, tempDir, testKey } from './temp-ledger.ts';

const shardPath = (root: string, shard: number) => join(places(root).dir, shardFileName(shard));
const journalMode = (path: string) => {
  const db = new Database(path, { readonly: true });
  try {
    return db.pragma('journal_mode', { simple: true });
  } finally {
    db.close();
  }
};
const NO_LIMITS = { entries: 1_000_000, bytes: 2 ** 40, ageSeconds: 1e9 };

/** A ledger of several shards, closed. */
async function shardedLedger(root: string, entries = 10): Promise<void> {
  const ledger = await openTestLedger(root, { shardLimits: { entries: 4 } });
  for (let i = 0; i < entries; i++) await ledger.append('audit', [event({ i })]);
  await ledger.close('test');
}

/** Opens the ledger as the writer does. */
function openHere(root: string, clock: Clock = { now: () => 1_800_000_000_000_000 }) {
  const { name, vkey, privateKey } = testKey(root);
  const options = { dir: places(root).dir, logName: name, vkey, privateKey, version: '0', settingsDigest: 'none' };
  return { options, clock, opened: openShard(options, clock) };
}

describe('rotation', () => {
  it('seals a full shard and goes on in the next, losing nothing and keeping the order', async () => {
    const root = tempDir();
    const heads: Head[] = [];
    const ledger = await openTestLedger(root, { shardLimits: { entries: 5 }, onHead: (head) => heads.push(head) });
    const landed: Appended[] = [];
    for (let i = 0; i < 20; i++) landed.push(...(await ledger.append('decision', [decision({ i }, i)])));
    const { vkey, origin, shard } = ledger;
    expect(origin).toBe(`${ledger.vkey.split('+')[0]}/${shard}`);
    expect(shard).toBe(landed.at(-1)!.shard);
    expect(shard).toBeGreaterThan(2);
    // The first head of a shard tells of its checkpoint, and none of the one before is taken for it.
    for (const { shard: number, checkpoint } of heads)
      expect(checkpoint?.split('\n')[0]).toMatch(new RegExp(`/${number}$`));
    await ledger.close('test');

    const reader = LedgerReader.open(places(root).dir);
    for (const [i, { shard, seq, leafHash }] of landed.entries()) {
      const entry = reader.get(shard, seq)!;
      expect(entry.leafHash).toBe(leafHash);
      expect(JSON.parse(entry.body.toString())).toEqual({ review: { i } });
    }
    for (const { number, size } of reader.shards()) {
      const first = reader.get(number, 0)!;
      expect(first.leaf.kind).toBe(number === 0 ? 'start' : 'link');
      if (number === 0) continue;
      const before = reader.shards()[number - 1]!;
      const end = reader.checkpoint(number - 1)!;
      const last = reader.get(number - 1, before.size - 1)!.leafHash;
      expect(JSON.parse(first.body.toString()).previous).toEqual({
        shard: number - 1,
        size: before.size,
        last,
        checkpoint: end.note,
      });
      expect(end.size).toBe(before.size);
      expect(size).toBeGreaterThan(1);
    }
    reader.close();
    expect(verifyLedger(places(root).dir, { keys: [vkey] })).toMatchObject({ status: 'whole', findings: [] });
  });

  it('gives an append that spans shards its places in both', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { shardLimits: { entries: 300 } });
    const landed = await ledger.append(
      'audit',
      Array.from({ length: 1000 }, (_, i) => event({ i })),
    );
    expect(landed).toHaveLength(1000);
    expect(new Set(landed.map(({ shard }) => shard))).toEqual(new Set([0, 1]));
    await ledger.close('test');
    const reader = LedgerReader.open(places(root).dir);
    for (const [i, { shard, seq }] of landed.entries())
      expect(JSON.parse(reader.get(shard, seq)!.body.toString()).event).toEqual({ i });
    reader.close();
  });

  it('leaves full shards in one file each, that nobody writes to', async () => {
    const root = tempDir();
    await shardedLedger(root);
    for (const shard of [0, 1]) {
      expect(journalMode(shardPath(root, shard))).toBe('delete');
      expect(statSync(shardPath(root, shard)).mode & 0o222).toBe(0);
      expect(existsSync(`${shardPath(root, shard)}-wal`)).toBe(false);
    }
  });

  it('seals a shard while it goes on, as soon as no reader holds it; readers let go of what they do not use', async () => {
    const root = tempDir();
    const told: LedgerNotice[] = [];
    const onNotice = (notice: LedgerNotice) => told.push(notice);
    const ledger = await openTestLedger(root, { shardLimits: { entries: 3 }, onNotice });
    const reader = LedgerReader.open(places(root).dir, 3000);
    expect(reader.get(0, 0)?.seq).toBe(0);
    for (let i = 0; i < 3; i++) await ledger.append('audit', [event({ i })]);
    expect(journalMode(shardPath(root, 0))).toBe('wal');
    // The writer hears of it between two commits.
    const types = async () => {
      await ledger.append('decision', [decision({})]);
      return told.filter(({ shard }) => shard === 0).map(({ type }) => type);
    };
    await expect.poll(types, { timeout: 15_000 }).toEqual(['unsealed', 'sealed']);
    expect(journalMode(shardPath(root, 0))).toBe('delete');
    expect(told).toContainEqual({ type: 'rotated', shard: 1, because: 'entries' });
    // It is still read, and its neighbours.
    expect(reader.get(0, 1)?.seq).toBe(1);
    expect(reader.shards().map(({ number }) => number)).toContain(1);
    reader.close();
  });

  it('goes on beside a reader that keeps a shard open, and seals that at the next start', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { shardLimits: { entries: 3 } });
    const reader = LedgerReader.open(places(root).dir, 60_000);
    for (let i = 0; i < 9; i++) await ledger.append('audit', [event({ i })]);
    expect(ledger.shard).toBeGreaterThan(1);
    await ledger.close('test');
    expect(journalMode(shardPath(root, 0))).toBe('wal');
    reader.close();
    await (await openTestLedger(root)).close('test');
    expect(journalMode(shardPath(root, 0))).toBe('delete');
  });

  it('is due by entries, by bytes and by age, but never for a shard that only begins', () => {
    let micros = 1_800_000_000_000_000;
    const { opened, clock } = openHere(tempDir(), { now: () => micros });
    const { store, lock } = opened;
    expect(fullBecause(store, { ...NO_LIMITS, entries: 1 }, clock)).toBeUndefined();
    store.append([{ kind: 'stop', body: Buffer.from('{}') }], false);
    expect(fullBecause(store, NO_LIMITS, clock)).toBeUndefined();
    expect(fullBecause(store, { ...NO_LIMITS, entries: 3 }, clock)).toBeUndefined();
    expect(fullBecause(store, { ...NO_LIMITS, entries: 2 }, clock)).toBe('entries');
    const reader = new Database(opened.path, { readonly: true });
    const bytes = 4096 * Number(reader.pragma('page_count', { simple: true }));
    reader.close();
    expect(fullBecause(store, { ...NO_LIMITS, bytes: bytes + 1 }, clock)).toBeUndefined();
    expect(fullBecause(store, { ...NO_LIMITS, bytes }, clock)).toBe('bytes');
    expect(fullBecause(store, { ...NO_LIMITS, ageSeconds: 60 }, clock)).toBeUndefined();
    micros += 60_000_000;
    expect(fullBecause(store, { ...NO_LIMITS, ageSeconds: 60 }, clock)).toBe('age');
    store.close();
    lock.release();
  });

  it.each([
    ['bytes', { bytes: 100_000 }],
    ['age', { ageSeconds: 0.2 }],
  ] as const)('comes by %s, again and again', async (because, shardLimits) => {
    const root = tempDir();
    const told: LedgerNotice[] = [];
    const ledger = await openTestLedger(root, { shardLimits, onNotice: (notice) => told.push(notice) });
    const written: Appended[] = [];
    const goOn = async () => {
      const body = event(randomBytes(4000).toString('hex'));
      written.push(...(await ledger.append('audit', [body, body])));
      return ledger.shard;
    };
    await expect.poll(goOn, { timeout: 15_000, interval: 1 }).toBeGreaterThanOrEqual(3);
    await ledger.close('test');
    expect(told.filter(({ type }) => type === 'rotated').slice(0, 3)).toEqual(
      [1, 2, 3].map((shard) => ({ type: 'rotated', shard, because })),
    );
    if (because === 'bytes') {
      for (const shard of [0, 1, 2]) {
        expect(statSync(shardPath(root, shard)).size).toBeGreaterThanOrEqual(100_000);
        expect(statSync(shardPath(root, shard)).size).toBeLessThan(200_000);
      }
    }
    const reader = LedgerReader.open(places(root).dir);
    for (const { shard, seq, leafHash } of written) expect(reader.get(shard, seq)?.leafHash).toBe(leafHash);
    reader.close();
    expect(verifyLedger(places(root).dir, { keys: [ledger.vkey] })).toMatchObject({ status: 'whole', findings: [] });
  });

  it.each(['removed', 'replaced'])('watches the file of the shard that it went on in: %s, it stops', async (how) => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { shardLimits: { entries: 3 } });
    for (let i = 0; ledger.shard < 1; i++) await ledger.append('decision', [decision({}, i)]);
    const path = shardPath(root, ledger.shard);
    if (how === 'removed') rmSync(path);
    else {
      copyFileSync(path, `${path}.copy`);
      renameSync(`${path}.copy`, path);
    }
    await sleep(150);
    const error = await rejection(ledger.append('decision', [decision({}, 99)]));
    // Gone before the checkpointer has opened it, it is that which fails.
    expect(error.code).toMatch(how === 'removed' ? /^LEDGER_(CORRUPT|WRITE_FAILED)$/ : /^LEDGER_CORRUPT$/);
    expect(ledger.fatal).toEqual([error]);
  });

  it('is put off, and the old shard written on, when the next cannot be created', () => {
    const root = tempDir();
    const { opened, options, clock } = openHere(root);
    const obstacle = `${shardPath(root, 1)}.new`;
    mkdirSync(obstacle);
    expect(() => nextShard(opened, options, clock)).toThrow(RotationPostponed);
    expect(opened.store.append([{ kind: 'stop', body: Buffer.from('{}') }], true).first).toBe(1);
    rmdirSync(obstacle);
    const next = nextShard(opened, options, clock);
    expect(next.shard).toBe(1);
    opened.store.close();
    next.store.close();
    opened.lock.release();
  });
});

describe('a reader that stays in one transaction', () => {
  it('makes the WAL no larger than its bound: the next shard is begun, whose WAL nobody holds', async () => {
    const root = tempDir();
    const told: LedgerNotice[] = [];
    const wal = { softBytes: 200_000, hardBytes: 1_000_000, maxBytes: 2_000_000 };
    const ledger = await openTestLedger(root, { wal, onNotice: (notice) => told.push(notice) });
    const held = new Database(shardPath(root, 0), { readonly: true });
    held.exec('BEGIN');
    held.prepare('SELECT count(*) FROM leaf').get();
    const body = () => Array.from({ length: 40 }, () => event(randomBytes(4000).toString('hex')));
    let largest = 0;
    const rotated = async () => {
      await ledger.append('audit', body());
      largest = Math.max(largest, ledger.stats().walBytes);
      return ledger.shard;
    };
    await expect.poll(rotated, { timeout: 15_000, interval: 1 }).toBe(1);
    expect(told).toContainEqual({ type: 'rotated', shard: 1, because: 'wal' });
    expect(largest).toBeGreaterThan(2_000_000);
    const before = statSync(`${shardPath(root, 0)}-wal`).size;
    for (let i = 0; i < 60; i++) await rotated();
    expect(ledger.shard).toBe(1);
    expect(statSync(`${shardPath(root, 0)}-wal`).size).toBe(before);
    const walBytes = async () => {
      await rotated();
      return ledger.stats().walBytes;
    };
    await expect.poll(walBytes, { timeout: 15_000, interval: 1 }).toBeLessThan(1_000_000);
    expect(ledger.shard).toBe(1);
    // What it sees is what there was when it began.
    expect(held.prepare('SELECT count(*) FROM leaf').pluck().get()).toBe(1);
    held.close();
    await ledger.close('test');
    expect(verifyLedger(places(root).dir, { keys: [ledger.vkey] }).status).toBe('whole');
  });
});

describe('a crash during rotation', () => {
  it('after the last checkpoint goes on in the old shard', async () => {
    const root = tempDir();
    await shardedLedger(root, 1);
    writeFileSync(`${shardPath(root, 1)}.new`, 'what a crash left');
    const ledger = await openTestLedger(root);
    expect(ledger.shard).toBe(0);
    expect(readdirSync(places(root).dir).filter((name) => name.includes('.new'))).toEqual([]);
    await ledger.close('test');
  });

  it('after the next shard has its name goes on in that, and seals the old one', async () => {
    const root = tempDir();
    const { opened, options, clock } = openHere(root);
    const next = nextShard(opened, options, clock);
    next.store.release();
    opened.store.release();
    opened.lock.release();
    expect(journalMode(shardPath(root, 0))).toBe('wal');
    const ledger = await openTestLedger(root);
    expect(ledger.shard).toBe(1);
    const [landed] = await ledger.append('audit', [event({})]);
    expect(landed).toMatchObject({ shard: 1, seq: 2 });
    await ledger.close('test');
    expect(journalMode(shardPath(root, 0))).toBe('delete');
    expect(verifyLedger(places(root).dir, { keys: [ledger.vkey] }).status).toBe('whole');
  });

  it.each([
    ['before the file lost its write permission', 0o640],
    ['after that, the removal of the journal undone by a power cut', 0o440],
  ])('in the middle of sealing takes it back and seals again: %s', async (_, mode) => {
    const root = tempDir();
    await shardedLedger(root, 5);
    const path = shardPath(root, 0);
    chmodSync(path, 0o640);
    leaveHotJournal(path);
    chmodSync(path, mode);
    expect(() => new Database(path, { readonly: true }).pragma('schema_version')).toThrow(
      expect.objectContaining({ code: 'SQLITE_READONLY_ROLLBACK' }),
    );
    const ledger = await openTestLedger(root);
    await ledger.close('test');
    expect(existsSync(`${path}-journal`)).toBe(false);
    expect(journalMode(path)).toBe('delete');
    expect(statSync(path).mode & 0o222).toBe(0);
    expect(verifyLedger(places(root).dir, { keys: [ledger.vkey] }).status).toBe('whole');
  });
});

/** What a crash within a write in rollback mode leaves: the journal of a change of the first page. */
function leaveHotJournal(path: string): void {
  const db = new Database(path);
  db.pragma('synchronous = OFF'); // so that the journal is complete before anything is synced
  db.exec('BEGIN IMMEDIATE; PRAGMA user_version = 77');
  const journal = readFileSync(`${path}-journal`);
  db.exec('ROLLBACK');
  db.close();
  writeFileSync(`${path}-journal`, journal);
}

describe('start-up over several shards', () => {
  it.each([
    ['is missing', 0, (path: string) => rmSync(path)],
    ['is missing', 1, (path: string) => rmSync(path)],
    [
      'does not end where',
      1,
      (path: string, root: string) => {
        rmSync(path);
        copyFileSync(shardPath(root, 0), path);
      },
    ],
    [
      'does not end where',
      1,
      (path: string) => {
        chmodSync(path, 0o600);
        const db = new Database(path);
        db.exec('DROP TRIGGER leaf_delete; DELETE FROM leaf WHERE seq = (SELECT max(seq) FROM leaf)');
        db.close();
      },
    ],
  ] as const)('refuses when a predecessor %s (shard %i)', async (message, shard, change) => {
    const root = tempDir();
    await shardedLedger(root, 7);
    expect(existsSync(shardPath(root, 2))).toBe(true);
    expect(existsSync(shardPath(root, 3))).toBe(false);
    change(shardPath(root, shard), root);
    const error = await rejection(openTestLedger(root));
    expect(error.code).toBe('LEDGER_CORRUPT');
    expect(error.message).toContain(`shard ${shard} `);
    expect(error.message).toContain(message);
  });

  it('refuses a newest shard that has no link', async () => {
    const root = tempDir();
    await shardedLedger(root, 1);
    const other = tempDir();
    await shardedLedger(other, 1);
    renameSync(shardPath(other, 0), shardPath(root, 1));
    const error = await rejection(openTestLedger(root));
    expect(error).toMatchObject({ code: 'LEDGER_CORRUPT', message: expect.stringContaining('link to shard 0') });
  });
});
