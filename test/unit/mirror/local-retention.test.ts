import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { shardFileName } from '../../../src/ledger/files.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { type RemovalLedger, removeShard } from '../../../src/ledger/remove-shard.ts';
import { isSealed } from '../../../src/ledger/seal.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { type ErrorCode, SealgateError } from '../../../src/lib/errors.ts';
import { LedgerPush } from '../../../src/mirror/ledger-push.ts';
import { LocalRetention } from '../../../src/mirror/local-retention.ts';
import type { LockExpectation } from '../../../src/mirror/lock-check.ts';
import { Patience } from '../../../src/mirror/patience.ts';
import { removeVerified } from '../../../src/mirror/remove-verified.ts';
import { restoreLedger } from '../../../src/mirror/restore.ts';
import { openStore } from '../../../src/mirror/stores/open.ts';
import type { ObjectStore } from '../../../src/mirror/stores/store.ts';
import { Uploader } from '../../../src/mirror/uploader.ts';
import { verifyMirror } from '../../../src/mirror/verify-mirror.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { event, LOG_NAME, openTestLedger, places, type TestLedger, tempDir } from '../ledger/temp-ledger.ts';

const DAY_US = 86_400_000_000;
const MINUTES = 60_000;

/** A ledger whose shards before `shards` are sealed. */
async function filled(root: string, shards = 4): Promise<TestLedger> {
  const ledger = await openTestLedger(root, { shardLimits: { entries: 5 }, checkpointIntervalMs: 20 });
  for (let i = 0; ledger.shard < shards; i++) await ledger.append('audit', [event({ i })]);
  const sealed = () => Array.from({ length: shards }, (_, shard) => isSealed(path(root, shard)));
  await expect.poll(() => sealed().every(Boolean), { timeout: 10_000 }).toBe(true);
  return ledger;
}

const path = (root: string, shard: number) => join(places(root).dir, shardFileName(shard));
const here = (root: string) => [0, 1, 2, 3, 4].filter((shard) => existsSync(path(root, shard)));

interface Given {
  readonly ledger: RemovalLedger;
  readonly store: ObjectStore;
  readonly days?: number;
  readonly locks?: LockExpectation;
}

/** The retention of a ledger that is pushed when `push` is called, under a clock that the test turns. */
function retentionOf({ ledger, store, days = 30, locks }: Given) {
  const clock = { days: 0, ms: 0 };
  const lines: string[] = [];
  const log = (level: string, fields: object) => void lines.push(`${level} ${JSON.stringify(fields)}`);
  const abort = new AbortController();
  const patience = new Patience({
    signal: abort.signal,
    onFailure: () => undefined,
    onSuccess: () => undefined,
    random: () => 0,
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    now: () => performance.now(),
  });
  const uploader = new Uploader(store, patience, 4, () => undefined);
  const push = new LedgerPush({ ledgerDir: ledger.dir, uploader, log, onPushed: () => undefined });
  const trouble: { now: { code: ErrorCode; message: string } | undefined } = { now: undefined };
  const retention = new LocalRetention({
    ledgerDir: ledger.dir,
    days,
    openStore: () => store,
    locks,
    isComplete: (shard) => push.isComplete(shard),
    trouble: () => trouble.now,
    remove: (verified) =>
      removeVerified(
        (...args) => removeShard(ledger, ...args),
        verified,
        () => ({ diverged: push.diverged, ...(trouble.now === undefined ? {} : { problem: trouble.now }) }),
      ),
    log,
    signal: abort.signal,
    wall: () => Date.now() * 1000 + clock.days * DAY_US,
    now: () => clock.ms,
  });
  /** Looks again after so long that it is not too early. */
  const look = async () => {
    clock.ms += 11 * MINUTES;
    await retention.look();
  };
  return { clock, retention, push, look, trouble, lines, abort };
}

describe('a sealed shard', () => {
  it('leaves the volume when its time has passed, with what says where it is; the two newest stay', async () => {
    const root = tempDir();
    const store = new MemoryStore();
    const ledger = await filled(root);
    const { clock, retention, push, look, lines } = retentionOf({ ledger, store });
    await push.round(true);
    clock.days = 29;
    await look();
    expect(here(root)).toEqual([0, 1, 2, 3, 4]);
    expect(retention.status).toEqual({ oldest: 0, due: 0 });
    clock.days = 31;
    await look();
    expect(here(root)).toEqual([3, 4]);
    expect(retention.status).toMatchObject({ oldest: 3, due: 0, verified: { shard: 2 } });
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['info', 'info', 'info']);

    const reader = LedgerReader.open(ledger.dir);
    const said = [...reader.entries(4, 0)].filter(({ leaf }) => leaf.kind === 'removal');
    reader.close();
    const bodies = said.map(({ body }) => JSON.parse(body.toString()));
    expect(bodies.map(({ removed }) => removed.shard)).toEqual([0, 1, 2]);
    expect(bodies.at(-1).copy).toEqual({ store: store.url, verified: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(verifyLedger(ledger.dir, { keys: [ledger.vkey] })).toMatchObject({ status: 'whole', findings: [] });

    // What is gone is in the mirror, and comes back from there.
    await push.round(true);
    expect(await verifyMirror(store, { keys: [ledger.vkey], nowMs: 0 })).toMatchObject({ status: 'whole' });
    await ledger.close('done');
    await restoreLedger(store, join(root, 'restored'), { keys: [ledger.vkey] });
    const restored = verifyLedger(join(root, 'restored'), { keys: [ledger.vkey] });
    expect(restored).toMatchObject({ status: 'whole', findings: [] });
    expect(restored.shards.map(({ shard }) => shard)).toEqual([0, 1, 2, 3, 4]);
  });

  it('stays while the mirror does not have it, is in trouble, or holds another history, and goes afterwards', async () => {
    const root = tempDir();
    const store = new MemoryStore();
    const ledger = await filled(root);
    const { clock, retention, push, look, trouble, lines } = retentionOf({ ledger, store });
    clock.days = 31;
    await look();
    expect(retention.status).toMatchObject({ due: 3, kept: { shard: 0, code: 'MIRROR_LAGGING' } });
    await push.round(true);
    for (const code of ['MIRROR_DIVERGED', 'MIRROR_UNAVAILABLE'] as const) {
      trouble.now = { code, message: 'so it is' };
      await look();
      expect(retention.status?.kept).toEqual({ shard: 0, code, why: 'so it is' });
    }
    expect(lines).toHaveLength(3);
    expect(lines.every((line) => line.startsWith('error'))).toBe(true);
    expect(here(root)).toEqual([0, 1, 2, 3, 4]);
    trouble.now = undefined;
    await look();
    expect(here(root)).toEqual([3, 4]);
    expect(retention.status?.kept).toBeUndefined();
  });

  it('stays when the mirror broke between the reading back and the removal', async () => {
    const root = tempDir();
    const store = new MemoryStore();
    const ledger = await filled(root);
    const { clock, retention, push, look, trouble } = retentionOf({ ledger, store });
    await push.round(true);
    clock.days = 31;
    const get = store.get.bind(store);
    store.get = (...args) => {
      trouble.now = { code: 'MIRROR_UNAVAILABLE', message: 'gone' };
      return get(...args);
    };
    await look();
    expect(here(root)).toEqual([0, 1, 2, 3, 4]);
    expect(retention.status?.kept).toMatchObject({ code: 'LEDGER_REMOVAL_REFUSED' });
  });

  it.each<[string, (store: MemoryStore, root: string) => void]>([
    ['an object is gone', (store) => store.erase(`${LOG_NAME}/0/tile/entries/000.p/5`)],
    ['a body was written over', (store) => store.put(`${LOG_NAME}/0/bodies/000.p/5`, 'something else')],
    ['an object is hidden', (store) => store.hide(`${LOG_NAME}/0/checkpoint`)],
    [
      'a leaf here is another',
      (_, root) => {
        chmodSync(path(root, 0), 0o640);
        const db = new Database(path(root, 0));
        const trigger = db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'leaf_update'").pluck().get();
        db.exec('DROP TRIGGER leaf_update');
        db.exec(`UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), '"v":1', '"v":2') AS BLOB) WHERE seq = 2`);
        db.exec(String(trigger));
        db.close();
        chmodSync(path(root, 0), 0o440);
      },
    ],
  ])('stays, and is not read again at once, when %s', async (_, harm) => {
    const root = tempDir();
    const store = new MemoryStore();
    const ledger = await filled(root);
    const { clock, retention, push, look, lines } = retentionOf({ ledger, store });
    await push.round(true);
    harm(store, root);
    clock.days = 31;
    await look();
    expect(retention.status).toMatchObject({ oldest: 0, kept: { shard: 0, code: 'MIRROR_NOT_WHOLE' } });
    expect(here(root)).toEqual([0, 1, 2, 3, 4]);
    expect(lines.at(-1)).toMatch(/^error/);
    let reads = 0;
    store.versions = () => {
      reads += 1;
      throw new Error('it was read again');
    };
    clock.ms += MINUTES;
    await retention.look();
    expect(reads).toBe(0);
    await look();
    expect(reads).toBe(1);
  });

  it('stays while the mirror is not locked as asked, or any more', async () => {
    const locks = { mode: 'compliance', days: { log: 400, bodies: 0 }, inForce: true } as const;
    const root = tempDir();
    const store = new MemoryStore();
    const ledger = await filled(root);
    store.now = new Date();
    const lock = (days: number) => {
      store.lock = { mode: 'compliance', until: new Date(Date.now() + days * 86_400_000), legalHold: false };
    };
    lock(400);
    const { clock, push, look, retention } = retentionOf({ ledger, store, locks });
    await push.round(true);
    clock.days = 401;
    await look();
    expect(retention.status?.kept).toMatchObject({
      code: 'MIRROR_NOT_WHOLE',
      why: expect.stringMatching(/retention-short.*lock has ended/),
    });
    clock.days = 31;
    await look();
    expect(here(root)).toEqual([3, 4]);

    const other = tempDir();
    const short = new MemoryStore();
    short.now = new Date();
    short.lock = { mode: 'compliance', until: new Date(Date.now() + 10 * 86_400_000), legalHold: false };
    const second = retentionOf({ ledger: await filled(other), store: short, locks });
    await second.push.round(true);
    second.clock.days = 31;
    await second.look();
    expect(second.retention.status?.kept?.why).toContain('retention-short');
    expect(here(other)).toEqual([0, 1, 2, 3, 4]);
  });

  it('stays when the store does not answer, whichever request that is', async () => {
    const root = tempDir();
    const { dir } = places(root);
    const ledger = await filled(root);
    const store = openStore(join(root, 'mirror'), { clock: { now: () => Date.now() * 1000 } });
    const { clock, retention, push, look } = retentionOf({ ledger, store });
    await push.round(true);
    clock.days = 31;
    const get = store.get.bind(store);
    store.get = async (key, options) => {
      if (key.includes('bodies')) throw new SealgateError('MIRROR_UNAVAILABLE', 'the network is gone');
      return await get(key, options);
    };
    await look();
    expect(retention.status?.kept).toEqual({ shard: 0, code: 'MIRROR_UNAVAILABLE', why: 'the network is gone' });
    expect(here(root)).toEqual([0, 1, 2, 3, 4]);
    store.get = get;
    await look();
    expect(here(root)).toEqual([3, 4]);
    expect(verifyLedger(dir, { keys: [ledger.vkey] })).toMatchObject({ status: 'whole', findings: [] });
  });
});
