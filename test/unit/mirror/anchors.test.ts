import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Append } from '../../../src/ledger/entry.ts';
import { Anchors } from '../../../src/mirror/anchors.ts';
import type { Lag, Mirror, MirrorOptions, PushedMessage } from '../../../src/mirror/mirror.ts';
import { openMirrored } from '../../../src/mirror/mirrored.ts';
import type { MirrorStatus } from '../../../src/mirror/protocol.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pushed = (size: number, news = true): PushedMessage => ({
  ...{ type: 'pushed', shard: 2, origin: 'log.example/c/0/2', size, root: 'ab'.repeat(32), news },
  url: 's3://bucket/prefix',
  note: 'note',
  cosignedBy: [],
});

function anchors(options: { everyMs?: number; fail?: () => boolean } = {}) {
  const written: Record<string, unknown>[] = [];
  const failures: unknown[] = [];
  const one = new Anchors({
    everyMs: options.everyMs ?? 60_000,
    append: (entry: Append) => {
      if (options.fail?.() === true) return Promise.reject(new Error('no'));
      expect(entry.kind).toBe('anchor');
      written.push(JSON.parse(Buffer.from(entry.body).toString()) as Record<string, unknown>);
      return Promise.resolve([]);
    },
    onFailure: (error) => void failures.push(error),
    wall: () => 1_800_000_000_000_000,
    now: () => Date.now(),
  });
  return { one, written, failures };
}

describe('anchors', () => {
  it('record what the mirror holds', () => {
    const { one, written } = anchors();
    one.pushed(pushed(7));
    expect(written).toEqual([
      {
        ...{ store: 's3://bucket/prefix', shard: 2, origin: 'log.example/c/0/2', size: 7, root: 'ab'.repeat(32) },
        time: '2027-01-15T08:00:00.000000Z',
      },
    ]);
  });

  it('never bring further ones', () => {
    const { one, written } = anchors();
    one.pushed(pushed(7));
    for (let size = 8; size < 20; size++) {
      one.pushed(pushed(size, false));
      vi.advanceTimersByTime(120_000);
    }
    expect(written).toHaveLength(1);
    one.pushed(pushed(21));
    expect(written.map(({ size }) => size)).toEqual([7, 21]);
  });

  it('come at most once in their time, and then for the newest push', () => {
    const { one, written } = anchors();
    for (let size = 1; size <= 100; size++) {
      one.pushed(pushed(size, size !== 100));
      vi.advanceTimersByTime(1000);
    }
    expect(written.map(({ size }) => size)).toEqual([1, 60]);
    vi.advanceTimersByTime(60_000);
    expect(written.map(({ size }) => size)).toEqual([1, 60, 100]);
    vi.advanceTimersByTime(600_000);
    expect(written).toHaveLength(3);
  });

  it('are tried again with the next push when the ledger took none, and stop when it closes', async () => {
    let failing = true;
    const { one, written, failures } = anchors({ fail: () => failing, everyMs: 10 });
    one.pushed(pushed(1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(failures).toHaveLength(1);
    failing = false;
    one.pushed(pushed(2, false));
    expect(written.map(({ size }) => size)).toEqual([2]);
    one.pushed(pushed(3));
    one.close();
    await vi.advanceTimersByTimeAsync(1000);
    one.pushed(pushed(4));
    expect(written).toHaveLength(1);
  });

  it('can be left out', () => {
    const { one, written } = anchors({ everyMs: 0 });
    one.pushed(pushed(1));
    expect(written).toEqual([]);
  });
});

describe('a pod with a mirror', () => {
  const settings = {
    ...{ url: 's3://b/p', intervalSeconds: 10, parallel: 8, maxLagSeconds: 0, anchorSeconds: 60, s3: {} },
    retention: { mode: 'none', logDays: 0, bodiesDays: 0, partialDays: 0, legalHold: false },
  } as const;

  function pod(maxLagSeconds: number, lag: () => Lag, status: Partial<MirrorStatus> = {}) {
    const appended: Append[] = [];
    const start = (_: MirrorOptions): Mirror => ({
      lag,
      status: () => ({
        ...{ shard: 0, pushed: 0, behind: 0, counts: { objects: 0, bytes: 0, present: 0, occupied: 0 } },
        ...{ errors: {}, diverged: [], ...status },
      }),
      close: () => Promise.resolve(),
    });
    const mirrored = openMirrored({
      settings: { ...settings, maxLagSeconds },
      ledger: {
        dir: '/nowhere',
        head: () => ({ shard: 0, size: 0 }),
        append: (_lane, entries) => {
          appended.push(...entries);
          return Promise.resolve([]);
        },
      },
      log: () => undefined,
      onStatus: () => undefined,
      localRetentionDays: 0,
      removeShard: () => Promise.reject(new Error('nothing is removed here')),
      wall: () => 0,
      start,
    });
    return { mirrored, appended };
  }

  const event: Append = { kind: 'event', body: Buffer.from('{}') };

  it('stays ready and takes audit events however far the mirror is behind, and says so', async () => {
    const { mirrored, appended } = pod(0, () => ({ entries: 5, seconds: 90_000 }), {
      problem: { code: 'MIRROR_CREDENTIALS', message: 'they have expired' },
    });
    expect(mirrored.check()).toEqual({
      ok: true,
      warning: true,
      detail: '5 entries behind, the oldest for 90000 s; MIRROR_CREDENTIALS: they have expired',
    });
    await mirrored.auditLedger.append('audit', [event]);
    expect(appended).toHaveLength(1);
  });

  it('is not ready and refuses audit events once mirror.maxLagSeconds is passed, and only so long', async () => {
    let seconds = 61;
    const { mirrored, appended } = pod(60, () => ({ entries: 5, seconds }));
    expect(mirrored.check()).toMatchObject({ ok: false });
    await expect(mirrored.auditLedger.append('audit', [event])).rejects.toMatchObject({ code: 'MIRROR_LAGGING' });
    expect(appended).toEqual([]);
    seconds = 60;
    expect(mirrored.check()).toMatchObject({ ok: true });
    await mirrored.auditLedger.append('audit', [event]);
    expect(appended).toHaveLength(1);
  });

  it('names a shard whose history in the mirror is another one', () => {
    const { mirrored } = pod(0, () => ({ entries: 0, seconds: 0 }), { diverged: [3] });
    expect(mirrored.check()).toMatchObject({
      ok: true,
      warning: true,
      detail: expect.stringContaining('MIRROR_DIVERGED: shard 3'),
    });
  });
});
